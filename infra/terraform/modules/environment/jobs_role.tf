# What a job may: its environment's bucket, logs, secrets and images, and the jobs of its own pipelines. Nothing else.

data "aws_iam_policy_document" "jobs_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["sagemaker.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount" # no other account can have SageMaker use it
      values   = [local.account]
    }
  }
}

resource "aws_iam_role" "jobs" {
  name               = "${var.prefix}-jobs"
  description        = "Steps of the pipelines of ${var.prefix}"
  assume_role_policy = data.aws_iam_policy_document.jobs_trust.json
}

data "aws_iam_policy_document" "jobs" {
  statement {
    sid = "Objects"
    actions = [
      "s3:GetObject",
      "s3:GetObjectVersion",
      "s3:PutObject",
      "s3:DeleteObject",
      "s3:AbortMultipartUpload",
      "s3:ListMultipartUploadParts",
    ]
    resources = ["${aws_s3_bucket.this.arn}/*"]
  }

  statement {
    sid       = "Bucket"
    actions   = ["s3:ListBucket", "s3:GetBucketLocation"]
    resources = [aws_s3_bucket.this.arn]
  }

  statement {
    sid       = "Key"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"]
    resources = [aws_kms_key.this.arn]
  }

  statement {
    sid     = "Logs"
    actions = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
    resources = [
      "${local.arn}:logs:${local.here}:log-group:/aws/sagemaker/*",
      "${aws_cloudwatch_log_group.this.arn}:*",
    ]
  }

  statement {
    sid       = "Metrics"
    actions   = ["cloudwatch:PutMetricData"]
    resources = ["*"] # the action knows no resources; the namespace limits it

    condition {
      test     = "StringLike"
      variable = "cloudwatch:namespace"
      values   = [var.prefix, "/aws/sagemaker/*"]
    }
  }

  statement {
    sid       = "Secrets"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = ["${local.arn}:secretsmanager:${local.here}:secret:${var.prefix}/*"]
  }

  # SageMaker names the jobs of pipelines itself: pipelines-EXECUTION-STEP-...
  statement {
    sid = "JobsOfPipelines"
    actions = [
      "sagemaker:CreateProcessingJob",
      "sagemaker:DescribeProcessingJob",
      "sagemaker:StopProcessingJob",
      "sagemaker:CreateTrainingJob",
      "sagemaker:DescribeTrainingJob",
      "sagemaker:StopTrainingJob",
      "sagemaker:AddTags",
    ]
    resources = [
      "${local.arn}:sagemaker:${local.here}:processing-job/pipelines-*",
      "${local.arn}:sagemaker:${local.here}:training-job/pipelines-*",
    ]
  }

  statement {
    sid = "RegisteredModels"
    actions = [
      "sagemaker:CreateModelPackage",
      "sagemaker:DescribeModelPackage",
      "sagemaker:DescribeModelPackageGroup",
      "sagemaker:AddTags",
    ]
    resources = [
      "${local.arn}:sagemaker:${local.here}:model-package/${var.prefix}-*",
      "${local.arn}:sagemaker:${local.here}:model-package-group/${var.prefix}-*",
    ]
  }

  statement {
    sid       = "ItselfForJobs"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.jobs.arn]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["sagemaker.amazonaws.com"]
    }
  }

  dynamic "statement" {
    for_each = length(var.repositories) == 0 ? [] : [true]

    content {
      sid       = "Images"
      actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      resources = var.repositories
    }
  }

  dynamic "statement" {
    for_each = length(var.repositories) == 0 ? [] : [true]

    content {
      sid       = "RegistryOfImages"
      actions   = ["ecr:GetAuthorizationToken"]
      resources = ["*"] # the action knows no resources
    }
  }

  dynamic "statement" {
    for_each = length(var.subnets) == 0 ? [] : [true]

    content {
      sid = "NetworkInterfaces"
      actions = [
        "ec2:CreateNetworkInterface",
        "ec2:CreateNetworkInterfacePermission",
        "ec2:DeleteNetworkInterface",
        "ec2:DeleteNetworkInterfacePermission",
      ]
      resources = concat(var.subnets, var.security_groups, ["${local.arn}:ec2:${local.here}:network-interface/*"])
    }
  }

  dynamic "statement" {
    for_each = length(var.subnets) == 0 ? [] : [true]

    content {
      sid = "NetworkAsItIs"
      actions = [
        "ec2:DescribeDhcpOptions",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
      ]
      resources = ["*"] # these actions know no resources
    }
  }
}

resource "aws_iam_role_policy" "jobs" {
  name   = "jobs"
  role   = aws_iam_role.jobs.id
  policy = data.aws_iam_policy_document.jobs.json
}
