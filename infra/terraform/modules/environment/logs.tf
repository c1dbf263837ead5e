resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_338:A year unless `keep` says otherwise, as it does for tests.
  name              = "/trikk/${var.prefix}"
  retention_in_days = var.keep_logs_days
  kms_key_id        = aws_kms_key.this.arn
}
