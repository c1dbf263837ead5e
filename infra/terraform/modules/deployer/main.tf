# The target account's side: a role by which an environment is made, changed and destroyed, and who may take it. It may
# change what begins with the environment's name. The caller's side is the module `deployer_caller`.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  prefix  = "${var.project}-${var.environment}"
  arn     = "arn:${data.aws_partition.current.partition}"
  account = data.aws_caller_identity.current.account_id
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole", "sts:TagSession"]

    principals {
      type        = "AWS"
      identifiers = var.callers
    }

    dynamic "condition" {
      for_each = var.external_id == null ? [] : [var.external_id]

      content {
        test     = "StringEquals"
        variable = "sts:ExternalId"
        values   = [condition.value]
      }
    }
  }
}

resource "aws_iam_role" "this" {
  name                 = "${local.prefix}-deploy"
  description          = "Makes, changes and destroys ${local.prefix}"
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  max_session_duration = 3600
}

data "aws_iam_policy_document" "own" {
  statement {
    sid = "Buckets"
    actions = [
      "s3:CreateBucket", "s3:DeleteBucket", "s3:Get*", "s3:ListBucket", "s3:ListBucketVersions",
      "s3:PutBucketAcl", "s3:PutBucketOwnershipControls", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock",
      "s3:PutBucketTagging", "s3:PutBucketVersioning", "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration",
      "s3:DeleteBucketPolicy",
    ]
    resources = ["${local.arn}:s3:::${var.bucket}"]
  }

  statement {
    sid       = "CodeAndDefinitions"
    actions   = ["s3:GetObject", "s3:GetObjectTagging", "s3:GetObjectVersion", "s3:PutObject", "s3:PutObjectTagging", "s3:DeleteObject", "s3:DeleteObjectVersion"]
    resources = ["${local.arn}:s3:::${var.bucket}/*"]
  }

  statement {
    sid       = "State"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    resources = ["${local.arn}:s3:::${var.state_bucket}/${local.prefix}/*"]
  }

  statement {
    sid       = "StateOfThis"
    actions   = ["s3:ListBucket"]
    resources = ["${local.arn}:s3:::${var.state_bucket}"]

    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["${local.prefix}/*"]
    }
  }

  statement {
    sid = "Roles"
    actions = [
      "iam:CreateRole", "iam:DeleteRole", "iam:GetRole", "iam:UpdateRole", "iam:UpdateRoleDescription", "iam:UpdateAssumeRolePolicy", "iam:TagRole", "iam:UntagRole",
      "iam:PutRolePolicy", "iam:GetRolePolicy", "iam:DeleteRolePolicy", "iam:ListRolePolicies", "iam:ListAttachedRolePolicies",
      "iam:AttachRolePolicy", "iam:DetachRolePolicy", "iam:ListInstanceProfilesForRole",
    ]
    resources = [
      for name in ["jobs", "start", "scheduler", "slack", "connections", "host", "database"] :
      "${local.arn}:iam::${local.account}:role/${local.prefix}-${name}"
    ]
  }

  statement {
    sid = "ProfilesAndPolicies"
    actions = [
      "iam:CreateInstanceProfile", "iam:GetInstanceProfile", "iam:DeleteInstanceProfile", "iam:AddRoleToInstanceProfile", "iam:RemoveRoleFromInstanceProfile", "iam:TagInstanceProfile",
      "iam:CreatePolicy", "iam:GetPolicy", "iam:DeletePolicy", "iam:GetPolicyVersion", "iam:ListPolicyVersions", "iam:CreatePolicyVersion", "iam:DeletePolicyVersion", "iam:TagPolicy",
    ]
    resources = [
      "${local.arn}:iam::${local.account}:instance-profile/${local.prefix}-host",
      "${local.arn}:iam::${local.account}:policy/${local.prefix}-kafka",
      "${local.arn}:iam::${local.account}:policy/${local.prefix}-slack",
    ]
  }

  statement {
    sid     = "GiveRolesToTheirServices"
    actions = ["iam:PassRole"]
    resources = [
      for name in ["jobs", "start", "scheduler", "slack", "connections", "host", "database"] :
      "${local.arn}:iam::${local.account}:role/${local.prefix}-${name}"
    ]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values = [
        "sagemaker.amazonaws.com", "lambda.amazonaws.com", "scheduler.amazonaws.com", "chatbot.amazonaws.com",
        "vpc-flow-logs.amazonaws.com", "ec2.amazonaws.com", "monitoring.rds.amazonaws.com",
      ]
    }
  }

  statement {
    sid = "Pipelines"
    actions = [
      "sagemaker:CreatePipeline", "sagemaker:UpdatePipeline", "sagemaker:DeletePipeline", "sagemaker:DescribePipeline",
      "sagemaker:CreateModelPackageGroup", "sagemaker:DeleteModelPackageGroup", "sagemaker:DescribeModelPackageGroup",
      "sagemaker:CreateModel", "sagemaker:DeleteModel", "sagemaker:DescribeModel",
      "sagemaker:CreateEndpointConfig", "sagemaker:DeleteEndpointConfig", "sagemaker:DescribeEndpointConfig",
      "sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint", "sagemaker:DeleteEndpoint", "sagemaker:DescribeEndpoint",
      "sagemaker:AddTags", "sagemaker:DeleteTags", "sagemaker:ListTags",
    ]
    resources = [
      for kind in ["pipeline", "model-package-group", "model", "endpoint-config", "endpoint"] :
      "${local.arn}:sagemaker:*:${local.account}:${kind}/${lower(local.prefix)}-*"
    ]
  }

  statement {
    sid = "Starting"
    actions = [
      "lambda:CreateFunction", "lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration", "lambda:DeleteFunction", "lambda:GetFunction",
      "lambda:GetFunctionConfiguration", "lambda:GetFunctionCodeSigningConfig", "lambda:GetPolicy", "lambda:ListVersionsByFunction", "lambda:ListTags", "lambda:TagResource", "lambda:UntagResource",
      "lambda:PutFunctionConcurrency", "lambda:DeleteFunctionConcurrency",
      "lambda:PutFunctionEventInvokeConfig", "lambda:GetFunctionEventInvokeConfig", "lambda:DeleteFunctionEventInvokeConfig", "lambda:UpdateFunctionEventInvokeConfig",
      "scheduler:CreateScheduleGroup", "scheduler:GetScheduleGroup", "scheduler:DeleteScheduleGroup", "scheduler:CreateSchedule", "scheduler:UpdateSchedule",
      "scheduler:GetSchedule", "scheduler:DeleteSchedule", "scheduler:ListTagsForResource", "scheduler:TagResource", "scheduler:UntagResource",
    ]
    resources = [
      "${local.arn}:lambda:*:${local.account}:function:${local.prefix}-start",
      "${local.arn}:scheduler:*:${local.account}:schedule-group/${local.prefix}",
      "${local.arn}:scheduler:*:${local.account}:schedule/${local.prefix}/*",
    ]
  }

  statement {
    sid = "Telling"
    actions = [
      "sns:CreateTopic", "sns:DeleteTopic", "sns:GetTopicAttributes", "sns:SetTopicAttributes", "sns:Subscribe", "sns:Unsubscribe",
      "sns:GetSubscriptionAttributes", "sns:SetSubscriptionAttributes", "sns:ListTagsForResource", "sns:TagResource", "sns:UntagResource",
      "events:PutRule", "events:DeleteRule", "events:DescribeRule", "events:PutTargets", "events:RemoveTargets", "events:ListTargetsByRule",
      "events:ListTagsForResource", "events:TagResource", "events:UntagResource",
      "cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms", "cloudwatch:ListTagsForResource", "cloudwatch:TagResource", "cloudwatch:UntagResource",
      "cloudwatch:PutDashboard", "cloudwatch:GetDashboard", "cloudwatch:DeleteDashboards",
      "logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:PutRetentionPolicy", "logs:DeleteRetentionPolicy", "logs:AssociateKmsKey", "logs:DisassociateKmsKey",
      "logs:ListTagsForResource", "logs:TagResource", "logs:UntagResource",
      "kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias",
    ]
    resources = [
      "${local.arn}:sns:*:${local.account}:${local.prefix}-alerts",
      "${local.arn}:sns:*:${local.account}:${local.prefix}-alerts:*",
      "${local.arn}:events:*:${local.account}:rule/${local.prefix}-*",
      "${local.arn}:cloudwatch:*:${local.account}:alarm:${local.prefix}-*",
      "${local.arn}:cloudwatch::${local.account}:dashboard/${local.prefix}",
      "${local.arn}:logs:*:${local.account}:log-group:/trikk/${local.prefix}*",
      "${local.arn}:kms:*:${local.account}:alias/${local.prefix}",
    ]
  }

  # Keys have no names: the environment's is known by its tags.
  statement {
    sid = "OwnKey"
    actions = [
      "kms:DescribeKey", "kms:GetKeyPolicy", "kms:PutKeyPolicy", "kms:GetKeyRotationStatus", "kms:EnableKeyRotation", "kms:UpdateKeyDescription",
      "kms:ScheduleKeyDeletion", "kms:ListResourceTags", "kms:UntagResource", "kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias",
      "kms:Decrypt", "kms:GenerateDataKey", "kms:CreateGrant",
    ]
    resources = ["${local.arn}:kms:*:${local.account}:key/*"]

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/trikk:project"
      values   = [var.project]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/trikk:environment"
      values   = [var.environment]
    }
  }

  statement {
    sid       = "NewKey"
    actions   = ["kms:CreateKey", "kms:TagResource"]
    resources = ["*"] # it is not there yet

    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/trikk:project"
      values   = [var.project]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/trikk:environment"
      values   = [var.environment]
    }
  }

  statement {
    sid       = "Look"
    actions   = ["kms:ListAliases", "logs:DescribeLogGroups", "cloudwatch:DescribeAlarms", "sts:GetCallerIdentity"]
    resources = ["*"] # lists know no resources
  }
}

resource "aws_iam_role_policy" "own" {
  name   = "own"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.own.json
}

# Apart, since a role holds ten thousand characters of policies of its own.
data "aws_iam_policy_document" "network" {
  #checkov:skip=CKV_AWS_109:Networks and machines have no names; their tags limit what may be done with them.
  #checkov:skip=CKV_AWS_111:As above.
  #checkov:skip=CKV_AWS_356:As above.
  statement {
    sid = "NewNetwork"
    actions = [
      "ec2:CreateVpc", "ec2:CreateSubnet", "ec2:CreateRouteTable", "ec2:CreateSecurityGroup", "ec2:CreateVpcEndpoint", "ec2:CreateFlowLogs",
      "ec2:RunInstances", "ec2:CreateTags", "rds:CreateDBInstance", "rds:CreateDBSubnetGroup", "rds:CreateDBParameterGroup", "rds:AddTagsToResource",
      "secretsmanager:CreateSecret", "secretsmanager:TagResource",
    ]
    resources = ["*"] # they are not there yet

    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/trikk:environment"
      values   = [var.environment]
    }
  }

  statement {
    sid = "OwnNetwork"
    actions = [
      "ec2:CreateSubnet", "ec2:CreateRouteTable", "ec2:CreateSecurityGroup", "ec2:CreateVpcEndpoint", "ec2:CreateFlowLogs", "ec2:RunInstances",
      "ec2:DeleteVpc", "ec2:ModifyVpcAttribute", "ec2:DeleteSubnet", "ec2:ModifySubnetAttribute", "ec2:DeleteRouteTable", "ec2:AssociateRouteTable", "ec2:DisassociateRouteTable",
      "ec2:AuthorizeSecurityGroupIngress", "ec2:AuthorizeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress", "ec2:RevokeSecurityGroupEgress", "ec2:DeleteSecurityGroup",
      "ec2:ModifyVpcEndpoint", "ec2:DeleteVpcEndpoints", "ec2:DeleteFlowLogs",
      "ec2:TerminateInstances", "ec2:StopInstances", "ec2:StartInstances", "ec2:ModifyInstanceAttribute", "ec2:AssociateIamInstanceProfile", "ec2:DeleteTags",
      "rds:ModifyDBInstance", "rds:DeleteDBInstance", "rds:DeleteDBSubnetGroup", "rds:ModifyDBParameterGroup", "rds:DeleteDBParameterGroup", "rds:RemoveTagsFromResource",
    ]
    resources = ["*"] # networks and machines have no names; their tags tell them apart

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/trikk:project"
      values   = [var.project]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/trikk:environment"
      values   = [var.environment]
    }
  }

  statement {
    sid       = "LookAtNetworks"
    actions   = ["ec2:Describe*", "rds:Describe*", "rds:ListTagsForResource"]
    resources = ["*"] # descriptions know no resources
  }

  statement {
    sid       = "ImagesOfMachines"
    actions   = ["ssm:GetParameter"]
    resources = ["${local.arn}:ssm:*::parameter/aws/service/ami-amazon-linux-latest/*"]
  }
}

resource "aws_iam_policy" "network" {
  count       = var.network ? 1 : 0
  name        = "${local.prefix}-deploy-network"
  description = "Makes, changes and destroys network, host and database of ${local.prefix}"
  policy      = data.aws_iam_policy_document.network.json
}

resource "aws_iam_role_policy_attachment" "network" {
  count      = length(aws_iam_policy.network)
  role       = aws_iam_role.this.name
  policy_arn = aws_iam_policy.network[0].arn
}
