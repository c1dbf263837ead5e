variable "project" {
  description = "Name of the project, as in trikk.toml."
  type        = string
}

variable "environment" {
  description = "Name of the environment that it may make; all names begin with PROJECT-ENVIRONMENT."
  type        = string
}

variable "bucket" {
  description = "Name of the environment's bucket."
  type        = string
}

variable "state_bucket" {
  description = "Name of the bucket with Terraform's state."
  type        = string
}

variable "callers" {
  description = "ARNs of the roles that may take this role: the one of CI/CD, those of the people who deploy."
  type        = list(string)

  validation {
    condition     = length(var.callers) > 0 && alltrue([for arn in var.callers : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/[^*]+$", arn))])
    error_message = "Each caller is the ARN of a role or user, such as arn:aws:iam::111122223333:role/ci: whole accounts and patterns let in everybody."
  }
}

variable "external_id" {
  description = "A text that callers must say as well; null for none. For callers of other organisations."
  type        = string
  default     = null
}

variable "network" {
  description = "Whether it may make a network, a host and a database as well."
  type        = bool
  default     = false
}
