variable "prefix" {
  description = "PROJECT-ENVIRONMENT, the dashboard's name."
  type        = string
}

variable "pipelines" {
  description = "Names in SageMaker, by the pipelines' names in the project."
  type        = map(string)
}

variable "endpoint" {
  description = "Name of the endpoint to show, or null."
  type        = string
  default     = null
}

variable "logs" {
  description = "Name of the log group."
  type        = string
}
