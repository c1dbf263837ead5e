output "arn" {
  description = "ARN of the pipeline."
  value       = one(concat(aws_sagemaker_pipeline.this[*].arn, aws_sagemaker_pipeline.large[*].arn))
}
