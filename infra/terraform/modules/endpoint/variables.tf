variable "name" {
  description = "Name of the endpoint."
  type        = string
}

variable "role" {
  description = "ARN of the role by which it reads the model."
  type        = string
}

variable "image" {
  description = "Image that serves the model, by digest."
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "The endpoint's image must be named by its digest (NAME@sha256:...): a tag can mean another image tomorrow."
  }
}

variable "model_data" {
  description = "Address of the model's archive in S3; null if the image brings it."
  type        = string
  default     = null

  validation {
    condition     = var.model_data == null || can(regex("^s3://[^/]+/.+", var.model_data))
    error_message = "The model's archive is an address such as s3://bucket/models/model.tar.gz."
  }
}

variable "environment" {
  description = "Environment variables of the container; no secrets."
  type        = map(string)
  default     = {}
}

variable "instance_type" {
  description = "Machine that serves, such as ml.t2.medium."
  type        = string
  default     = "ml.t2.medium"

  validation {
    condition     = startswith(var.instance_type, "ml.")
    error_message = "${var.instance_type} is no machine of SageMaker: their names begin with ml."
  }
}

variable "instances" {
  description = "How many machines."
  type        = number
  default     = 1

  validation {
    condition     = var.instances >= 1 && floor(var.instances) == var.instances
    error_message = "An endpoint has at least one machine."
  }
}

variable "key" {
  description = "ARN of the key that encrypts the machines' volumes."
  type        = string
}

variable "subnets" {
  description = "Ids of subnets in which it runs; empty for outside any network of ours."
  type        = list(string)
  default     = []
}

variable "security_groups" {
  description = "Ids of its security groups."
  type        = list(string)
  default     = []
}
