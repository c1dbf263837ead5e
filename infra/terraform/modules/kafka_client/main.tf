# What a client of Kafka (MSK, signing in by IAM) may: the named topics, and consumer groups and transactions whose names begin as trikk's do.
# Publications are transactions, so that a run that is tried again publishes nothing twice.

locals {
  topic       = replace(var.cluster, ":cluster/", ":topic/")
  group       = "${replace(var.cluster, ":cluster/", ":group/")}/${var.client_prefix}*"
  transaction = "${replace(var.cluster, ":cluster/", ":transactional-id/")}/${var.client_prefix}*"
}

data "aws_iam_policy_document" "this" {
  statement {
    sid       = "Cluster"
    actions   = concat(["kafka-cluster:Connect", "kafka-cluster:DescribeCluster"], length(var.writes) == 0 ? [] : ["kafka-cluster:WriteDataIdempotently"])
    resources = [var.cluster]
  }

  dynamic "statement" {
    for_each = length(var.reads) == 0 ? [] : [true]

    content {
      sid       = "Read"
      actions   = ["kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"]
      resources = [for name in sort(var.reads) : "${local.topic}/${name}"]
    }
  }

  dynamic "statement" {
    for_each = length(var.reads) == 0 ? [] : [true]

    content {
      sid       = "OwnGroups"
      actions   = ["kafka-cluster:DescribeGroup", "kafka-cluster:AlterGroup"]
      resources = [local.group]
    }
  }

  dynamic "statement" {
    for_each = length(var.writes) == 0 ? [] : [true]

    content {
      sid       = "Publish"
      actions   = ["kafka-cluster:DescribeTopic", "kafka-cluster:WriteData"]
      resources = [for name in sort(var.writes) : "${local.topic}/${name}"]
    }
  }

  dynamic "statement" {
    for_each = length(var.writes) == 0 ? [] : [true]

    content {
      sid       = "OwnTransactions"
      actions   = ["kafka-cluster:DescribeTransactionalId", "kafka-cluster:AlterTransactionalId"]
      resources = [local.transaction]
    }
  }
}

resource "aws_iam_policy" "this" {
  name        = "${var.prefix}-kafka"
  description = "Topics of Kafka that ${var.prefix} reads and writes"
  policy      = data.aws_iam_policy_document.this.json
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each   = var.roles
  role       = each.value
  policy_arn = aws_iam_policy.this.arn
}
