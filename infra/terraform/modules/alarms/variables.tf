variable "prefix" {
  description = "PROJECT-ENVIRONMENT, with which all names begin."
  type        = string
}

variable "pipelines" {
  description = "Name in SageMaker and, where it is to be watched, the hours without a start after which one is missing, by the pipeline's name in the project."
  type        = map(object({ name = string, missed_after = optional(number) }))

  validation {
    condition     = alltrue([for about in values(var.pipelines) : about.missed_after == null || try(about.missed_after >= 1 && about.missed_after <= 168, false)])
    error_message = "missed_after is hours, from 1 to 168: an alarm looks back a week at most."
  }
}

variable "alerts" {
  description = "ARN of the topic that is told."
  type        = string
}
