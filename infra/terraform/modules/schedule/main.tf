# Schedules call a function, and the function starts a pipeline under a key made of the trigger and the scheduled time: a
# call that comes twice, and a start by hand for the same time, give the one execution. (A schedule that starts a pipeline
# itself sends no key, so that a repeated delivery would start it twice.)

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  arn  = "arn:${data.aws_partition.current.partition}"
  here = "${data.aws_region.current.name}:${data.aws_caller_identity.current.account_id}"
  name = "${var.prefix}-start"
}

# The archive comes as text, from the same command as the definitions, so that nothing has to be built beside it.
resource "aws_s3_object" "function" {
  bucket         = var.bucket
  key            = "functions/start-${sha256(var.function)}.zip"
  content_base64 = var.function
  content_type   = "application/zip"
  kms_key_id     = var.key
}

data "aws_iam_policy_document" "function_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "function" {
  name               = "${var.prefix}-start"
  description        = "Starts the pipelines of ${var.prefix}"
  assume_role_policy = data.aws_iam_policy_document.function_trust.json
}

data "aws_iam_policy_document" "function" {
  statement {
    sid       = "Start"
    actions   = ["sagemaker:StartPipelineExecution"]
    resources = [for name in sort(values(var.pipelines)) : "${local.arn}:sagemaker:${local.here}:pipeline/${lower(name)}"]
  }

  statement {
    sid       = "Logs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${var.logs.arn}:*"]
  }

  statement {
    sid       = "TellOfFailures"
    actions   = ["sns:Publish"]
    resources = [var.alerts]
  }

  statement {
    sid       = "Key"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [var.key]
  }
}

resource "aws_iam_role_policy" "function" {
  name   = "start"
  role   = aws_iam_role.function.id
  policy = data.aws_iam_policy_document.function.json
}

resource "aws_lambda_function" "start" {
  #checkov:skip=CKV_AWS_115:It is called once for each scheduled time; a reserve would take from an account that may have ten at once.
  #checkov:skip=CKV_AWS_117:It calls SageMaker and nothing else; in a network it would only depend on one more thing.
  #checkov:skip=CKV_AWS_272:The archive is made by `trikk`, and only the role that deploys can put another.
  function_name = local.name
  description   = "Starts pipelines of ${var.prefix}, once for each scheduled time"
  role          = aws_iam_role.function.arn
  runtime       = "python3.13"
  handler       = "start_function.handler"
  s3_bucket     = aws_s3_object.function.bucket
  s3_key        = aws_s3_object.function.key
  architectures = ["arm64"]
  timeout       = 60
  memory_size   = 256

  logging_config {
    log_format = "Text"
    log_group  = var.logs.name
  }

  # A start that failed twice is told at once; one that never came is found by the alarm.
  dead_letter_config {
    target_arn = var.alerts
  }

  tracing_config {
    mode = "PassThrough"
  }

  depends_on = [aws_iam_role_policy.function]
}

resource "aws_lambda_function_event_invoke_config" "start" {
  function_name                = aws_lambda_function.start.function_name
  maximum_retry_attempts       = 1
  maximum_event_age_in_seconds = 300 # its one retry comes after a minute
}

data "aws_iam_policy_document" "schedule_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

resource "aws_iam_role" "schedule" {
  name               = "${var.prefix}-scheduler"
  description        = "Calls the function that starts the pipelines of ${var.prefix}"
  assume_role_policy = data.aws_iam_policy_document.schedule_trust.json
}

data "aws_iam_policy_document" "schedule" {
  statement {
    sid       = "Call"
    actions   = ["lambda:InvokeFunction"]
    resources = [aws_lambda_function.start.arn]
  }
}

resource "aws_iam_role_policy" "schedule" {
  name   = "call"
  role   = aws_iam_role.schedule.id
  policy = data.aws_iam_policy_document.schedule.json
}

resource "aws_scheduler_schedule_group" "this" {
  name = var.prefix
}

resource "aws_scheduler_schedule" "this" {
  #checkov:skip=CKV_AWS_297:It holds names and times, nothing that is a secret.
  for_each                     = var.schedules
  group_name                   = aws_scheduler_schedule_group.this.name
  name                         = each.key
  description                  = "Starts ${var.pipelines[each.value.pipeline]}"
  schedule_expression          = each.value.expression
  schedule_expression_timezone = each.value.timezone

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.start.arn
    role_arn = aws_iam_role.schedule.arn
    input    = replace(replace(jsonencode(merge(jsondecode(each.value.input), { pipeline = var.pipelines[each.value.pipeline] })), "\\u003c", "<"), "\\u003e", ">") # Scheduler looks for <aws.scheduler.scheduled-time> as it is written

    retry_policy {
      maximum_retry_attempts       = 1
      maximum_event_age_in_seconds = 60
    }
  }

  depends_on = [aws_iam_role_policy.schedule]
}
