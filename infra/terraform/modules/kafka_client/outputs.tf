output "policy" {
  description = "ARN of the policy."
  value       = aws_iam_policy.this.arn
}
