output "name" {
  description = "Name of the pipeline."
  value       = awscc_sagemaker_pipeline.this.pipeline_name
}
