# The pipeline by the AWS provider.

resource "aws_sagemaker_pipeline" "this" {
  count                 = var.definition.is_large ? 0 : 1
  pipeline_name         = var.name
  pipeline_display_name = var.name
  pipeline_description  = var.description
  role_arn              = var.role
  pipeline_definition   = var.definition.text
  tags                  = var.tags

  dynamic "parallelism_configuration" {
    for_each = var.max_parallel_steps == null ? [] : [var.max_parallel_steps]

    content {
      max_parallel_execution_steps = parallelism_configuration.value
    }
  }
}

# A definition of more than a million characters is read from the bucket. The provider can't change its place, and
# takes the text that it reads back for a change: so a new version of it makes the pipeline anew.
resource "terraform_data" "version" {
  count = var.definition.is_large ? 1 : 0
  input = var.definition.large
}

resource "aws_sagemaker_pipeline" "large" {
  count                 = var.definition.is_large ? 1 : 0
  pipeline_name         = var.name
  pipeline_display_name = var.name
  pipeline_description  = var.description
  role_arn              = var.role
  tags                  = var.tags

  pipeline_definition_s3_location {
    bucket     = var.definition.large.bucket
    object_key = var.definition.large.key
    version_id = var.definition.large.version
  }

  dynamic "parallelism_configuration" {
    for_each = var.max_parallel_steps == null ? [] : [var.max_parallel_steps]

    content {
      max_parallel_execution_steps = parallelism_configuration.value
    }
  }

  lifecycle {
    ignore_changes       = [pipeline_definition]
    replace_triggered_by = [terraform_data.version]
  }
}
