# Once for each account, by somebody who administers it, before any environment: the bucket with Terraform's state, and the
# two sides of deploying across accounts. Its own state is a file, kept where the account's other such files are.

terraform {
  required_version = ">= 1.6"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.80"
    }
  }
}

variable "region" {
  description = "Region of the account's buckets."
  type        = string
}

variable "project" {
  description = "Name of the project, as in trikk.toml."
  type        = string
}

variable "environments" {
  description = "Environments that are made in this account, with the bucket of each, and whether they have a network; empty in an account that only deploys."
  type        = map(object({ bucket = string, network = optional(bool, false) }))
  default     = {}
}

variable "callers" {
  description = "ARNs of the roles that may deploy them: of CI/CD, of people. Mostly of another account."
  type        = list(string)
  default     = []
}

variable "deploys" {
  description = "ARNs of the roles of other accounts that callers of this account may take, by a name; empty where nobody deploys from here."
  type        = map(string)
  default     = {}
}

variable "local_callers" {
  description = "Names of the roles of this account that may take them."
  type        = set(string)
  default     = []
}

variable "state_bucket" {
  description = "Name of the bucket with Terraform's state."
  type        = string
}

variable "make_state_bucket" {
  description = "Whether that bucket is made here; one account has it for all."
  type        = bool
  default     = true
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { "trikk:project" = var.project }
  }
}

resource "aws_s3_bucket" "state" {
  #checkov:skip=CKV_AWS_18:Who read what is in CloudTrail's data events, which an account has once and not for each bucket.
  #checkov:skip=CKV_AWS_144:A second region is the organisation's decision.
  #checkov:skip=CKV_AWS_145:Encrypted by S3's own key: accounts that deploy have no key in common.
  #checkov:skip=CKV2_AWS_61:Old states are small, and the only way back.
  #checkov:skip=CKV2_AWS_62:Nothing waits for events of this bucket.
  count  = var.make_state_bucket ? 1 : 0
  bucket = var.state_bucket
}

resource "aws_s3_bucket_versioning" "state" {
  count  = length(aws_s3_bucket.state)
  bucket = aws_s3_bucket.state[0].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_public_access_block" "state" {
  count                   = length(aws_s3_bucket.state)
  bucket                  = aws_s3_bucket.state[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

module "deployer" {
  for_each     = var.environments
  source       = "../modules/deployer"
  project      = var.project
  environment  = each.key
  bucket       = each.value.bucket
  state_bucket = var.state_bucket
  callers      = var.callers
  network      = each.value.network
}

module "deployer_caller" {
  count   = length(var.deploys) == 0 ? 0 : 1
  source  = "../modules/deployer_caller"
  name    = "${var.project}-deploy"
  roles   = values(var.deploys)
  callers = { for name in var.local_callers : name => name }
}

output "deployers" {
  description = "ARNs of the roles by which environments are deployed."
  value       = { for environment, deployer in module.deployer : environment => deployer.role }
}
