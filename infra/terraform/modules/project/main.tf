# All of an environment: what its pipelines share, the pipelines, what starts them, and who is told of what.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  prefix = "${var.project}-${var.environment}"
  bucket = coalesce(var.bucket, "${local.prefix}-${data.aws_caller_identity.current.account_id}")

  names     = { for pipeline, about in var.pipelines : pipeline => "${local.prefix}-${about.name}" }
  schedules = merge([for pipeline, about in var.pipelines : { for name, schedule in about.schedules : name => merge(schedule, { pipeline = pipeline }) }]...)

  # What compiled documents leave open. The role's ARN is made of its name, so that a plan shows the whole definition.
  parameters = {
    Role   = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:role/${local.prefix}-jobs"
    Image  = var.image
    Bucket = local.bucket
  }
}

# A wrong region is found before anything is made in it.
resource "terraform_data" "region" {
  input = var.region

  lifecycle {
    precondition {
      condition     = data.aws_region.current.name == var.region
      error_message = "${local.prefix} belongs to ${var.region}, and the provider works in ${data.aws_region.current.name}: set `region` of the provider."
    }

    precondition {
      condition     = length(local.prefix) <= 40
      error_message = "${local.prefix}, with which all names begin, has more than 40 characters: choose shorter names of project or environment."
    }

    precondition {
      condition     = var.host == null || var.network != null
      error_message = "The host needs a network of its own: set `network`."
    }

    precondition {
      condition     = length(local.schedules) == sum(concat([0], [for about in values(var.pipelines) : length(about.schedules)]))
      error_message = "Two pipelines have a schedule of one name: triggers' names are unique in a project."
    }

    precondition {
      condition     = length(local.schedules) == 0 || var.start_function != null
      error_message = "Schedules call a function, and start_function is not given: take it from `trikk compile terraform PIPELINE`."
    }
  }
}

module "environment" {
  source             = "../environment"
  prefix             = local.prefix
  bucket             = local.bucket
  force_destroy      = var.force_destroy
  keep_exchange_days = var.keep.exchange
  keep_replaced_days = var.keep.replaced
  keep_logs_days     = var.keep.logs
  repositories       = var.repositories
  subnets            = local.network == null ? [] : local.network.subnets.arns
  security_groups    = local.network == null ? [] : [local.network.jobs_security_group.arn]
  emails             = var.alerts.emails
  webhooks           = var.alerts.webhooks
  slack              = var.alerts.slack

  depends_on = [terraform_data.region]
}

module "network" {
  count          = var.network == null ? 0 : 1
  source         = "../network"
  prefix         = local.prefix
  cidr           = var.network.cidr
  zones          = var.network.zones
  services       = var.network.services
  logs_key       = module.environment.key
  keep_logs_days = var.keep.logs
}

locals {
  network = one(module.network)
}

module "definition" {
  for_each               = var.create_pipelines ? var.pipelines : {}
  source                 = "../definition"
  pipeline               = each.key
  definition             = each.value.definition
  environment_parameters = local.parameters
  bucket                 = module.environment.bucket.name
  key                    = module.environment.key
}

module "pipeline" {
  for_each           = var.create_pipelines ? var.pipelines : {}
  source             = "../pipeline"
  name               = local.names[each.key]
  description        = each.value.description
  role               = module.environment.jobs_role.arn
  definition         = module.definition[each.key]
  max_parallel_steps = each.value.max_parallel_steps
  tags               = each.value.tags
}

module "schedule" {
  count     = length(local.schedules) == 0 ? 0 : 1
  source    = "../schedule"
  prefix    = local.prefix
  pipelines = local.names
  schedules = local.schedules
  function  = var.start_function
  bucket    = module.environment.bucket.name
  key       = module.environment.key
  alerts    = module.environment.alerts
  logs      = module.environment.logs
}

module "alarms" {
  source    = "../alarms"
  prefix    = local.prefix
  pipelines = { for pipeline, about in var.pipelines : pipeline => { name = local.names[pipeline], missed_after = about.missed_after } }
  alerts    = module.environment.alerts
}

module "dashboard" {
  count     = var.dashboard ? 1 : 0
  source    = "../dashboard"
  prefix    = local.prefix
  pipelines = local.names
  endpoint  = var.endpoint == null ? null : local.prefix
  logs      = module.environment.logs.name
}

module "endpoint" {
  count           = var.endpoint == null ? 0 : 1
  source          = "../endpoint"
  name            = local.prefix
  role            = module.environment.jobs_role.arn
  image           = var.endpoint.image
  model_data      = var.endpoint.model_data
  environment     = var.endpoint.environment
  instance_type   = var.endpoint.instance_type
  instances       = var.endpoint.instances
  key             = module.environment.key
  subnets         = local.network == null ? [] : local.network.subnets.ids
  security_groups = local.network == null ? [] : [local.network.jobs_security_group.id]
}

module "registry" {
  source = "../registry"
  prefix = local.prefix
  models = var.registry
}

module "kafka_client" {
  count   = var.kafka == null ? 0 : 1
  source  = "../kafka_client"
  prefix  = local.prefix
  cluster = var.kafka.cluster
  reads   = var.kafka.reads
  writes  = var.kafka.writes
  roles   = merge({ jobs = module.environment.jobs_role.name }, var.host == null ? {} : { host = module.host[0].role })
}

module "host" {
  count               = var.host == null ? 0 : 1
  source              = "../host"
  prefix              = local.prefix
  image               = var.host.image
  repositories        = var.repositories
  instance_type       = var.host.instance_type
  disk                = var.host.disk
  database_class      = var.host.database_class
  database_storage    = var.host.database_storage
  lasting             = var.host.lasting
  airflow_image       = var.host.airflow_image
  ansible_image       = var.host.ansible_image
  vpc                 = local.network.vpc
  subnets             = local.network.subnets.ids
  cidr                = var.network.cidr
  jobs_security_group = local.network.jobs_security_group.id
  s3_prefix_list      = local.network.s3_prefix_list
  bucket              = module.environment.bucket
  key                 = module.environment.key
  logs                = module.environment.logs
  alerts              = module.environment.alerts
}
