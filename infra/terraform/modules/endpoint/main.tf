# A model behind an address. What can't be changed has a name made of what it is, so that the new one is there before the
# old one goes, and the endpoint changes over without a gap.

locals {
  version = substr(sha256(jsonencode([var.image, var.model_data, var.environment, var.instance_type, var.instances, var.subnets])), 0, 8)
}

resource "aws_sagemaker_model" "this" {
  name                     = "${var.name}-${local.version}"
  execution_role_arn       = var.role
  enable_network_isolation = true # the container reaches nothing, the model comes with it

  primary_container {
    image          = var.image
    model_data_url = var.model_data
    environment    = var.environment
  }

  dynamic "vpc_config" {
    for_each = length(var.subnets) == 0 ? [] : [true]

    content {
      subnets            = var.subnets
      security_group_ids = var.security_groups
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_sagemaker_endpoint_configuration" "this" {
  name        = "${var.name}-${local.version}"
  kms_key_arn = var.key

  production_variants {
    variant_name           = "main"
    model_name             = aws_sagemaker_model.this.name
    instance_type          = var.instance_type
    initial_instance_count = var.instances
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_sagemaker_endpoint" "this" {
  name                 = var.name
  endpoint_config_name = aws_sagemaker_endpoint_configuration.this.name
}
