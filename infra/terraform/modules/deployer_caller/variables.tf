variable "name" {
  description = "Name of the policy."
  type        = string
}

variable "roles" {
  description = "ARNs of the roles, in test, stage and production accounts, that may be taken."
  type        = list(string)

  validation {
    condition     = length(var.roles) > 0 && alltrue([for arn in var.roles : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/[^*]+$", arn))])
    error_message = "Each role is an ARN such as arn:aws:iam::222233334444:role/city-test-deploy; patterns let take roles that nobody thought of."
  }
}

variable "callers" {
  description = "Names of roles of this account that get the policy, by a name that is known before they are made."
  type        = map(string)
  default     = {}
}
