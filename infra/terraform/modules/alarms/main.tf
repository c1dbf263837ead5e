# Nobody is told of a failure unless somebody says so: executions that fail, and those that never came.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  namespace = "AWS/Sagemaker/ModelBuildingPipeline" # so spelt by the service
  arns      = "arn:${data.aws_partition.current.partition}:sagemaker:${data.aws_region.current.name}:${data.aws_caller_identity.current.account_id}:pipeline"

  missed = { for pipeline, about in var.pipelines : pipeline => about if about.missed_after != null }
}

resource "aws_cloudwatch_event_rule" "failed" {
  name        = "${var.prefix}-failures"
  description = "Executions of pipelines that have failed"
  event_pattern = jsonencode({
    source      = ["aws.sagemaker"]
    detail-type = ["SageMaker Model Building Pipeline Execution Status Change"]
    detail = {
      currentPipelineExecutionStatus = ["Failed"]
      pipelineArn                    = [{ prefix = "${local.arns}/${var.prefix}-" }]
    }
  })
}

resource "aws_cloudwatch_event_target" "failed" {
  rule      = aws_cloudwatch_event_rule.failed.name
  target_id = "alerts"
  arn       = var.alerts

  input_transformer {
    input_paths = {
      execution = "$.detail.pipelineExecutionArn"
      pipeline  = "$.detail.pipelineArn"
      at        = "$.time"
    }
    input_template = "\"<pipeline> has failed at <at>. Execution: <execution>. Once it is mended, it goes on where it stopped: aws sagemaker retry-pipeline-execution --pipeline-execution-arn <execution>\""
  }
}

resource "aws_cloudwatch_metric_alarm" "failed" {
  for_each            = var.pipelines
  alarm_name          = "${each.value.name}-failed"
  alarm_description   = "Executions of ${each.value.name} fail."
  namespace           = local.namespace
  metric_name         = "ExecutionFailed"
  dimensions          = { PipelineName = each.value.name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.alerts]
}

resource "aws_cloudwatch_metric_alarm" "missed" {
  for_each            = local.missed
  alarm_name          = "${each.value.name}-missed"
  alarm_description   = "No execution of ${each.value.name} was started for ${each.value.missed_after} hours. Its schedule, the function ${var.prefix}-start and its log say why."
  namespace           = local.namespace
  metric_name         = "ExecutionStarted"
  dimensions          = { PipelineName = each.value.name }
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = each.value.missed_after
  threshold           = 1
  comparison_operator = "LessThanThreshold"
  treat_missing_data  = "breaching" # nothing is counted where nothing was started
  alarm_actions       = [var.alerts]
}
