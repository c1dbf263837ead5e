# Who is told: a topic, and who subscribes to it.

resource "aws_sns_topic" "alerts" {
  name              = "${var.prefix}-alerts"
  kms_master_key_id = aws_kms_key.this.arn
}

data "aws_iam_policy_document" "alerts" {
  statement {
    sid       = "AlarmsAndRules"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alerts.arn]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com", "events.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_sns_topic_policy" "alerts" {
  arn    = aws_sns_topic.alerts.arn
  policy = data.aws_iam_policy_document.alerts.json
}

resource "aws_sns_topic_subscription" "mail" {
  for_each  = var.emails
  topic_arn = aws_sns_topic.alerts.arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_sns_topic_subscription" "webhook" {
  for_each  = var.webhooks
  topic_arn = aws_sns_topic.alerts.arn
  protocol  = "https"
  endpoint  = each.value
}

# Slack takes no message of SNS as it is: AWS's own chat application stands between them.
data "aws_iam_policy_document" "slack_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["chatbot.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_iam_role" "slack" {
  count              = var.slack == null ? 0 : 1
  name               = "${var.prefix}-slack"
  description        = "Brings alerts of ${var.prefix} to Slack; it may nothing else, so nobody can do anything from there"
  assume_role_policy = data.aws_iam_policy_document.slack_trust.json
}

data "aws_iam_policy_document" "slack_guardrail" {
  statement {
    sid       = "Nothing"
    effect    = "Deny"
    actions   = ["*"]
    resources = ["*"]
  }
}

resource "aws_iam_policy" "slack_guardrail" {
  count       = var.slack == null ? 0 : 1
  name        = "${var.prefix}-slack"
  description = "The most that anybody may do from the channel: nothing"
  policy      = data.aws_iam_policy_document.slack_guardrail.json
}

resource "aws_chatbot_slack_channel_configuration" "this" {
  count                 = var.slack == null ? 0 : 1
  configuration_name    = "${var.prefix}-alerts"
  iam_role_arn          = aws_iam_role.slack[0].arn
  guardrail_policy_arns = [aws_iam_policy.slack_guardrail[0].arn]
  slack_team_id         = var.slack.workspace
  slack_channel_id      = var.slack.channel
  sns_topic_arns        = [aws_sns_topic.alerts.arn]
}
