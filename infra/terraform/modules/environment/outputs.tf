output "bucket" {
  description = "The bucket's name and ARN."
  value       = { name = aws_s3_bucket.this.bucket, arn = aws_s3_bucket.this.arn }

  # Who uses the bucket waits until it is as it should be.
  depends_on = [
    aws_s3_bucket_ownership_controls.this,
    aws_s3_bucket_policy.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
    aws_s3_bucket_versioning.this,
  ]
}

output "jobs_role" {
  description = "Name and ARN of the role of jobs."
  value       = { name = aws_iam_role.jobs.name, arn = aws_iam_role.jobs.arn }

  depends_on = [aws_iam_role_policy.jobs]
}

output "key" {
  description = "ARN of the key."
  value       = aws_kms_key.this.arn
}

output "logs" {
  description = "Name and ARN of the log group."
  value       = { name = aws_cloudwatch_log_group.this.name, arn = aws_cloudwatch_log_group.this.arn }
}

output "alerts" {
  description = "ARN of the topic of alerts."
  value       = aws_sns_topic.alerts.arn

  depends_on = [aws_sns_topic_policy.alerts]
}
