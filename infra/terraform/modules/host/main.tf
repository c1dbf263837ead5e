# One machine with `trikk serve`. Nobody reaches it over the network: people come by Session Manager, which forwards the
# console's port to their own machine, and is logged.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

# The newest image of Amazon Linux, whose packages come from S3, so that the host needs no way to the internet.
data "aws_ssm_parameter" "machine_image" {
  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
}

locals {
  arn      = "arn:${data.aws_partition.current.partition}"
  here     = "${data.aws_region.current.name}:${data.aws_caller_identity.current.account_id}"
  registry = split("/", var.image)[0]
  journal  = "postgresql://trikk:$${POSTGRES_PASSWORD}@${aws_db_instance.this.endpoint}/trikk?sslmode=require"

  start = templatefile("${path.module}/start.sh.tftpl", {
    region        = data.aws_region.current.name
    secret        = aws_db_instance.this.master_user_secret[0].secret_arn
    registry      = local.registry
    image         = var.image
    airflow_image = var.airflow_image
    ansible_image = var.ansible_image
    logs          = var.logs.name
    bucket        = var.bucket.name
    settings = {
      AWS_REGION      = data.aws_region.current.name
      TRIKK_JOURNAL   = local.journal
      TRIKK_ARTIFACTS = "s3://${var.bucket.name}/artifacts"
      TRIKK_TABLES    = "s3://${var.bucket.name}/tables"
    }
  })
}

resource "aws_security_group" "host" {
  name        = "${var.prefix}-host"
  description = "The host: out to services of AWS and the database, nothing in"
  vpc_id      = var.vpc
}

resource "aws_vpc_security_group_egress_rule" "host_to_network" {
  for_each          = { services = 443, database = 5432, kafka = 9098 }
  security_group_id = aws_security_group.host.id
  description       = "To ${each.key} of the network"
  cidr_ipv4         = var.cidr
  ip_protocol       = "tcp"
  from_port         = each.value
  to_port           = each.value
}

resource "aws_vpc_security_group_egress_rule" "host_to_s3" {
  security_group_id = aws_security_group.host.id
  description       = "S3, by its gateway"
  prefix_list_id    = var.s3_prefix_list
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_instance" "this" {
  #checkov:skip=CKV_AWS_126:trikk's own metrics go to CloudWatch; the machine's by the minute cost more than they tell.
  ami                         = data.aws_ssm_parameter.machine_image.insecure_value
  instance_type               = var.instance_type
  subnet_id                   = var.subnets[0]
  vpc_security_group_ids      = [aws_security_group.host.id]
  iam_instance_profile        = aws_iam_instance_profile.host.name
  associate_public_ip_address = false
  ebs_optimized               = true
  user_data                   = local.start
  user_data_replace_on_change = true # all that matters is in the bucket and the database

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    volume_type = "gp3"
    volume_size = var.disk
    encrypted   = true
    kms_key_id  = var.key
  }

  tags = { Name = "${var.prefix}-host" }

  lifecycle {
    ignore_changes = [ami] # a newer one is taken when the host is made anew: terraform apply -replace=...
  }
}
