output "text" {
  description = "The definition, or null if it is too large to be sent."
  value       = local.large ? null : local.text

  precondition {
    condition     = length(local.unknown) == 0
    error_message = "Pipeline ${var.pipeline} needs ${join(", ", local.unknown)}, and the environment has none: set `image` (or [targets.sagemaker] image in trikk.toml, and compile again)."
  }
}

output "large" {
  description = "Where the definition lies if it is too large to be sent; else null."
  value       = local.large ? { bucket = var.bucket, key = aws_s3_object.large[0].key, version = aws_s3_object.large[0].version_id } : null
}

output "is_large" {
  description = "Whether it is too large to be sent; known before anything is made."
  value       = local.large
}
