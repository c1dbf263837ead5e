variable "name" {
  description = "Name in SageMaker."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,81}$", var.name))
    error_message = "${var.name} can't be the name of a pipeline: letters, digits and single dashes between them, at most 82 characters."
  }
}

variable "description" {
  description = "What the pipeline does."
  type        = string
  default     = null
}

variable "role" {
  description = "ARN of the role by which SageMaker runs its jobs."
  type        = string
}

variable "definition" {
  description = "What the module `definition` made of it: text, large, is_large."
  type = object({
    text     = string
    is_large = bool
    large    = object({ bucket = string, key = string, version = string })
  })
}

variable "max_parallel_steps" {
  description = "Steps of one execution at a time; null for as many as can be."
  type        = number
  default     = null
}

variable "tags" {
  description = "Tags of this pipeline, beside those of the environment."
  type        = map(string)
  default     = {}
}
