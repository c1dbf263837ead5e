variable "prefix" {
  description = "PROJECT-ENVIRONMENT, with which all names begin."
  type        = string
}

variable "bucket" {
  description = "Name of the bucket, unique among all accounts of AWS."
  type        = string
}

variable "force_destroy" {
  description = "Whether `terraform destroy` removes the bucket with all that is in it. Only where nothing is worth keeping."
  type        = bool
  default     = false
}

variable "keep_exchange_days" {
  description = "Days after which what jobs exchanged during an execution is removed; 0 to remove nothing, and keep replaced objects, too."
  type        = number
  default     = 90
}

variable "keep_replaced_days" {
  description = "Days for which an object that was overwritten or removed can be had back."
  type        = number
  default     = 30
}

variable "keep_logs_days" {
  description = "Days for which logs are kept."
  type        = number
  default     = 365
}

variable "repositories" {
  description = "ARNs of the ECR repositories that jobs take their images from."
  type        = list(string)
  default     = []
}

variable "subnets" {
  description = "ARNs of the subnets in which jobs run; empty for jobs outside any network of ours."
  type        = list(string)
  default     = []
}

variable "security_groups" {
  description = "ARNs of the security groups of these jobs."
  type        = list(string)
  default     = []
}

variable "emails" {
  description = "Addresses that get alerts by mail; each is asked once whether it wants them."
  type        = set(string)
  default     = []
}

variable "webhooks" {
  description = "https addresses that alerts are posted to."
  type        = set(string)
  default     = []
}

variable "slack" {
  description = "Channel of Slack that gets alerts, of a workspace that was connected to the account by hand once; null for none."
  type = object({
    workspace = string
    channel   = string
  })
  default = null
}
