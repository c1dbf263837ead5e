# One page for an environment: what ran, for how long, what failed, how the endpoint answers, what was logged as an error.

data "aws_region" "current" {}

locals {
  region    = data.aws_region.current.name
  namespace = "AWS/Sagemaker/ModelBuildingPipeline"
  names     = [for name in sort(keys(var.pipelines)) : var.pipelines[name]]

  executions = [
    for row, name in local.names : [
      {
        type = "metric", x = 0, y = row * 6, width = 12, height = 6
        properties = {
          title   = "${name}: executions"
          region  = local.region
          view    = "timeSeries"
          stat    = "Sum"
          period  = 3600
          metrics = [for metric in ["ExecutionStarted", "ExecutionSucceeded", "ExecutionFailed"] : [local.namespace, metric, "PipelineName", name]]
        }
      },
      {
        type = "metric", x = 12, y = row * 6, width = 12, height = 6
        properties = {
          title   = "${name}: how long, in ms"
          region  = local.region
          view    = "timeSeries"
          stat    = "Maximum"
          period  = 3600
          metrics = [[local.namespace, "ExecutionDuration", "PipelineName", name]]
        }
      },
    ]
  ]

  endpoint = [
    for name in compact([var.endpoint]) : {
      type = "metric", x = 0, y = length(local.names) * 6, width = 24, height = 6
      properties = {
        title  = "${name}: answers"
        region = local.region
        view   = "timeSeries"
        period = 300
        metrics = [
          ["AWS/SageMaker", "Invocations", "EndpointName", name, "VariantName", "main", { stat = "Sum" }],
          ["AWS/SageMaker", "Invocation5XXErrors", "EndpointName", name, "VariantName", "main", { stat = "Sum" }],
          ["AWS/SageMaker", "ModelLatency", "EndpointName", name, "VariantName", "main", { stat = "p99", yAxis = "right" }],
        ]
      }
    }
  ]

  errors = {
    type = "log", x = 0, y = (length(local.names) + length(local.endpoint)) * 6, width = 24, height = 6
    properties = {
      title  = "Errors in the log"
      region = local.region
      view   = "table"
      query  = "SOURCE '${var.logs}' | fields @timestamp, @message | filter @message like /(?i)error/ | sort @timestamp desc | limit 50"
    }
  }
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.prefix
  dashboard_body = jsonencode({ widgets = concat(flatten(local.executions), local.endpoint, [local.errors]) })
}
