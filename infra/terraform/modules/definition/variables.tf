variable "pipeline" {
  description = "The pipeline's name, for messages."
  type        = string
}

variable "definition" {
  description = "What `trikk compile sagemaker PIPELINE` prints."
  type        = string

  validation {
    condition     = can(jsondecode(var.definition).Steps[0].Name)
    error_message = "The definition is not a SageMaker pipeline: `trikk compile sagemaker PIPELINE` prints one."
  }
}

variable "environment_parameters" {
  description = "What the environment knows of the parameters Role, Image, Bucket and the like, by name; null for what it does not know."
  type        = map(string)
}

variable "bucket" {
  description = "Name of the bucket for definitions that are too large to be sent."
  type        = string
}

variable "key" {
  description = "ARN of the key of that bucket."
  type        = string
}
