output "trikk" {
  description = "What trikk.toml says of this environment."
  value = {
    targets = {
      sagemaker = merge(
        {
          role   = module.environment.jobs_role.arn
          bucket = module.environment.bucket.name
        },
        var.image == null ? {} : { image = var.image },
      )
    }
    storage = merge(
      {
        artifacts = "s3://${module.environment.bucket.name}/artifacts"
        tables    = "s3://${module.environment.bucket.name}/tables"
      },
      var.host == null ? {} : { journal = module.host[0].journal },
    )
  }
}

output "pipelines" {
  description = "Names in SageMaker, by the pipelines' names in the project."
  value       = local.names
}

output "parameters" {
  description = "What the environment knows of the parameters that compiled documents leave open, for `pipeline_awscc`."
  value       = local.parameters
}

output "bucket" {
  description = "Name and ARN of the bucket."
  value       = module.environment.bucket
}

output "jobs_role" {
  description = "Name and ARN of the role of jobs."
  value       = module.environment.jobs_role
}

output "key" {
  description = "ARN of the key."
  value       = module.environment.key
}

output "alerts" {
  description = "ARN of the topic of alerts."
  value       = module.environment.alerts
}

output "host" {
  description = "Id of the machine with `trikk serve`, for Session Manager; null if there is none."
  value       = one(module.host[*].instance)
}
