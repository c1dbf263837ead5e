variable "prefix" {
  description = "PROJECT-ENVIRONMENT, with which all names begin."
  type        = string
}

variable "cluster" {
  description = "ARN of the MSK cluster: arn:aws:kafka:REGION:ACCOUNT:cluster/NAME/ID."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:kafka:[a-z0-9-]+:[0-9]{12}:cluster/[^/*]+/[^/*]+$", var.cluster))
    error_message = "The cluster is an ARN such as arn:aws:kafka:eu-west-1:111122223333:cluster/city/1a2b-3."
  }
}

variable "reads" {
  description = "Topics that are read."
  type        = set(string)
  default     = []
}

variable "writes" {
  description = "Topics that are published to."
  type        = set(string)
  default     = []
}

variable "roles" {
  description = "Names of the roles that get these rights, by a name that is known before they are made."
  type        = map(string)
}

variable "client_prefix" {
  description = "How names of consumer groups and transactions begin."
  type        = string
  default     = "trikk-"
}
