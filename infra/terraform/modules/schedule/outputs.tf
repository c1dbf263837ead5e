output "function" {
  description = "Name of the function, which also starts a pipeline by hand: aws lambda invoke."
  value       = aws_lambda_function.start.function_name
}
