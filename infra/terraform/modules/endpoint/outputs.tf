output "name" {
  description = "Name of the endpoint."
  value       = aws_sagemaker_endpoint.this.name
}
