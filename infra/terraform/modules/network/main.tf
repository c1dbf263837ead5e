# A network with no way in and none out: no gateway to the internet, only services of AWS by addresses of its own.

data "aws_caller_identity" "current" {}
data "aws_region" "current" {}

resource "aws_vpc" "this" {
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = var.prefix }
}

# Nobody uses the default group; without rules nobody can by mistake.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_subnet" "private" {
  for_each          = { for index, zone in var.zones : zone => index }
  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.cidr, 4, each.value)

  tags = { Name = "${var.prefix}-${each.key}" }
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.prefix}-private" }
}

resource "aws_route_table_association" "private" {
  for_each       = aws_subnet.private
  subnet_id      = each.value.id
  route_table_id = aws_route_table.private.id
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${data.aws_region.current.name}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.private.id]
}

resource "aws_security_group" "services" {
  name        = "${var.prefix}-services"
  description = "Addresses of AWS services inside the network"
  vpc_id      = aws_vpc.this.id
}

resource "aws_vpc_security_group_ingress_rule" "services" {
  security_group_id = aws_security_group.services.id
  description       = "TLS from the network itself"
  cidr_ipv4         = var.cidr
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_endpoint" "service" {
  for_each            = var.services
  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${data.aws_region.current.name}.${each.value}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = [for subnet in aws_subnet.private : subnet.id]
  security_group_ids  = [aws_security_group.services.id]
}

resource "aws_security_group" "jobs" {
  #checkov:skip=CKV2_AWS_5:Attached by SageMaker to the jobs that name it, and to the host.
  name        = "${var.prefix}-jobs"
  description = "Jobs: out to services of AWS and to hosts of the network, nothing in"
  vpc_id      = aws_vpc.this.id
}

resource "aws_vpc_security_group_egress_rule" "jobs_to_network" {
  security_group_id = aws_security_group.jobs.id
  description       = "Services and hosts of the network"
  cidr_ipv4         = var.cidr
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 9098 # PostgreSQL is 5432, Kafka with IAM 9098
}

resource "aws_vpc_security_group_egress_rule" "jobs_to_s3" {
  security_group_id = aws_security_group.jobs.id
  description       = "S3, by its gateway"
  prefix_list_id    = aws_vpc_endpoint.s3.prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# Who connected to whom: without it, an attack leaves no trace.
resource "aws_cloudwatch_log_group" "connections" {
  #checkov:skip=CKV_AWS_338:A year unless `keep` says otherwise, as it does for tests.
  name              = "/trikk/${var.prefix}/connections"
  retention_in_days = var.keep_logs_days
  kms_key_id        = var.logs_key
}

data "aws_iam_policy_document" "connections_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["vpc-flow-logs.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

resource "aws_iam_role" "connections" {
  name               = "${var.prefix}-connections"
  description        = "Writes the log of connections of ${var.prefix}"
  assume_role_policy = data.aws_iam_policy_document.connections_trust.json
}

data "aws_iam_policy_document" "connections" {
  statement {
    sid       = "Write"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
    resources = ["${aws_cloudwatch_log_group.connections.arn}:*"]
  }
}

resource "aws_iam_role_policy" "connections" {
  name   = "write"
  role   = aws_iam_role.connections.id
  policy = data.aws_iam_policy_document.connections.json
}

resource "aws_flow_log" "this" {
  vpc_id          = aws_vpc.this.id
  traffic_type    = "ALL"
  log_destination = aws_cloudwatch_log_group.connections.arn
  iam_role_arn    = aws_iam_role.connections.arn
}
