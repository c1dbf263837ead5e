variable "name" {
  description = "Name in SageMaker."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,81}$", var.name))
    error_message = "${var.name} can't be the name of a pipeline: letters, digits and single dashes between them, at most 82 characters."
  }
}

variable "pipeline" {
  description = "The pipeline's name in the project."
  type        = string
}

variable "project_folder" {
  description = "Folder of the project, with its trikk.toml."
  type        = string
}

variable "trikk" {
  description = "The command, as a path or a name on the PATH."
  type        = string
  default     = "trikk"
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

variable "max_parallel_steps" {
  description = "Steps of one execution at a time; null for as many as can be."
  type        = number
  default     = null
}

variable "tags" {
  description = "Tags of the pipeline; this provider knows no default ones."
  type        = map(string)
  default     = {}
}
