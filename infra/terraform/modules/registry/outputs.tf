output "groups" {
  description = "Names of the groups, by model."
  value       = { for model, group in aws_sagemaker_model_package_group.this : model => group.model_package_group_name }
}
