# What all pipelines of an environment share: one key, one bucket, one role for jobs, one log group, one topic for alerts.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
  arn     = "arn:${data.aws_partition.current.partition}"
  here    = "${data.aws_region.current.name}:${local.account}"
}
