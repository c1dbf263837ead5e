variable "prefix" {
  description = "PROJECT-ENVIRONMENT, with which all names begin."
  type        = string
}

variable "image" {
  description = "Image with trikk and the project's code, by digest; deploy/Dockerfile builds one."
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "The host's image must be named by its digest (NAME@sha256:...): a tag can mean another image tomorrow."
  }
}

variable "repositories" {
  description = "ARNs of the ECR repositories that it takes images from."
  type        = list(string)
}

variable "instance_type" {
  description = "The machine."
  type        = string
  default     = "t3.large"
}

variable "disk" {
  description = "GB of its disk."
  type        = number
  default     = 50
}

variable "database_class" {
  description = "Machine of the database."
  type        = string
  default     = "db.t4g.medium"
}

variable "database_storage" {
  description = "GB of the database; it grows to ten times of it."
  type        = number
  default     = 20
}

variable "lasting" {
  description = "Whether the database stands in two zones, keeps backups for a fortnight and can't be destroyed by a mistake."
  type        = bool
}

variable "vpc" {
  description = "Id of the network."
  type        = string
}

variable "subnets" {
  description = "Ids of its private subnets, in two zones at least."
  type        = list(string)

  validation {
    condition     = length(var.subnets) >= 2
    error_message = "A database wants subnets in two zones at least: give `network` two zones."
  }
}

variable "jobs_security_group" {
  description = "Id of the security group of jobs, which reach the database, too."
  type        = string
}

variable "cidr" {
  description = "Addresses of the network."
  type        = string
}

variable "s3_prefix_list" {
  description = "Id of the list of S3's addresses."
  type        = string
}

variable "bucket" {
  description = "Name and ARN of the bucket."
  type        = object({ name = string, arn = string })
}

variable "key" {
  description = "ARN of the key."
  type        = string
}

variable "logs" {
  description = "Name and ARN of the log group."
  type        = object({ name = string, arn = string })
}

variable "alerts" {
  description = "ARN of the topic of alerts."
  type        = string
}

variable "airflow_image" {
  description = "Image of Airflow to run beside trikk, by digest; null for none."
  type        = string
  default     = null
}

variable "ansible_image" {
  description = "Image with Ansible, by digest, which the command `ansible-playbook` of the host runs; null for none."
  type        = string
  default     = null
}
