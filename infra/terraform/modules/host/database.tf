# The journal. Its password is made, kept and changed by Secrets Manager: it is in no file, and in no state of Terraform.

resource "aws_db_subnet_group" "this" {
  name       = var.prefix
  subnet_ids = var.subnets
}

resource "aws_security_group" "database" {
  name        = "${var.prefix}-database"
  description = "The journal: reached by the host and by jobs, reaching nobody"
  vpc_id      = var.vpc
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  for_each                     = { host = aws_security_group.host.id, jobs = var.jobs_security_group }
  security_group_id            = aws_security_group.database.id
  description                  = "PostgreSQL from ${each.key}"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_db_parameter_group" "this" {
  name   = var.prefix
  family = "postgres17"

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  parameter {
    name  = "log_statement"
    value = "ddl"
  }

  parameter {
    name  = "log_min_duration_statement"
    value = "1000"
  }
}

data "aws_iam_policy_document" "database_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["monitoring.rds.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

resource "aws_iam_role" "database" {
  name               = "${var.prefix}-database"
  description        = "Writes figures of the database's machine"
  assume_role_policy = data.aws_iam_policy_document.database_trust.json
}

data "aws_iam_policy_document" "database" {
  statement {
    sid       = "Figures"
    actions   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:PutRetentionPolicy", "logs:DescribeLogStreams"]
    resources = ["${local.arn}:logs:${local.here}:log-group:RDS*"]
  }
}

resource "aws_iam_role_policy" "database" {
  name   = "figures"
  role   = aws_iam_role.database.id
  policy = data.aws_iam_policy_document.database.json
}

resource "aws_db_instance" "this" {
  #checkov:skip=CKV_AWS_157:In two zones where `lasting` says so; a test environment needs none.
  #checkov:skip=CKV_AWS_293:Protected where `lasting` says so; a test environment is destroyed with all that is in it.
  identifier     = var.prefix
  engine         = "postgres"
  engine_version = "17"
  instance_class = var.database_class
  db_name        = "trikk"
  username       = "trikk"
  port           = 5432

  manage_master_user_password   = true
  master_user_secret_kms_key_id = var.key

  allocated_storage     = var.database_storage
  max_allocated_storage = 10 * var.database_storage
  storage_type          = "gp3"
  storage_encrypted     = true
  kms_key_id            = var.key

  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = [aws_security_group.database.id]
  parameter_group_name   = aws_db_parameter_group.this.name
  publicly_accessible    = false

  multi_az                  = var.lasting
  deletion_protection       = var.lasting
  skip_final_snapshot       = !var.lasting
  final_snapshot_identifier = var.lasting ? "${var.prefix}-last" : null
  backup_retention_period   = var.lasting ? 14 : 1
  delete_automated_backups  = !var.lasting
  copy_tags_to_snapshot     = true

  auto_minor_version_upgrade          = true
  iam_database_authentication_enabled = true
  enabled_cloudwatch_logs_exports     = ["postgresql", "upgrade"]
  monitoring_interval                 = 60
  monitoring_role_arn                 = aws_iam_role.database.arn
  performance_insights_enabled        = true
  performance_insights_kms_key_id     = var.key

  depends_on = [aws_iam_role_policy.database]
}
