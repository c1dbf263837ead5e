output "role" {
  description = "ARN of the role, which the caller's side names."
  value       = aws_iam_role.this.arn
}
