"""What Terraform's modules in infra/terraform are told of a pipeline."""
