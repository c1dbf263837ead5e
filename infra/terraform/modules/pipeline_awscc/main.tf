# The pipeline by the AWSCC provider, which makes it as CloudFormation would, with the definition compiled in each plan.
# A module of its own: one that mentions this provider needs it, whether or not it uses it.

data "external" "definition" {
  program = [var.trikk, "-C", var.project_folder, "compile", "sagemaker", var.pipeline, "--external"]
}

module "definition" {
  source                 = "../definition"
  pipeline               = var.pipeline
  definition             = data.external.definition.result.definition
  environment_parameters = var.environment_parameters
  bucket                 = var.bucket
  key                    = var.key
}

resource "awscc_sagemaker_pipeline" "this" {
  pipeline_name         = var.name
  pipeline_display_name = var.name
  pipeline_description  = var.description
  role_arn              = var.role

  pipeline_definition = {
    pipeline_definition_body = module.definition.text
    pipeline_definition_s3_location = module.definition.is_large ? {
      bucket  = module.definition.large.bucket
      key     = module.definition.large.key
      version = module.definition.large.version
    } : null
  }

  parallelism_configuration = var.max_parallel_steps == null ? null : {
    max_parallel_execution_steps = var.max_parallel_steps
  }

  tags = [for key, value in var.tags : { key = key, value = value }]
}
