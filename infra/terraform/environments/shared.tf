# What all environments have in common; each has a link to this file, and its own settings in main.tf.

terraform {
  required_version = ">= 1.6"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.80"
    }
  }

  backend "s3" {} # terraform init -backend-config=backend.hcl
}

provider "aws" {
  region              = local.region
  allowed_account_ids = [local.account] # no other account is changed by mistake

  assume_role {
    role_arn     = "arn:aws:iam::${local.account}:role/${local.project}-${local.environment}-deploy"
    session_name = "terraform"
  }

  default_tags {
    tags = local.tags
  }
}

locals {
  tags = {
    "trikk:project"     = local.project
    "trikk:environment" = local.environment
  }

  # One file for each pipeline, or all in variables: both are what `trikk compile terraform PIPELINE` prints.
  compiled       = [for file in sort(fileset("${path.module}/pipelines", "*.json")) : jsondecode(file("${path.module}/pipelines/${file}"))]
  pipelines      = merge(var.pipelines, [for document in local.compiled : document.pipelines]...)
  start_function = try(coalesce(var.start_function, [for document in local.compiled : document.start_function]...), null)
}

variable "pipelines" {
  description = "What `trikk compile terraform PIPELINE` prints, where it is not in the folder pipelines/."
  type        = any
  default     = {}
}

variable "start_function" {
  description = "The function that schedules call; from the same document."
  type        = string
  default     = null
}

variable "image" {
  description = "Image in which steps run, by digest, as CI/CD has built it; null where trikk.toml has it."
  type        = string
  default     = null
}

output "trikk" {
  description = "What trikk.toml says of this environment."
  value       = module.project.trikk
}

output "pipelines" {
  description = "Names in SageMaker, by the pipelines' names in the project."
  value       = module.project.pipelines
}

output "host" {
  description = "Id of the machine with `trikk serve`, for Session Manager."
  value       = module.project.host
}
