# As test, with pipelines by the AWSCC provider: their definitions are compiled in each plan, by the project's own code.

locals {
  project     = "city"
  environment = "awscc"
  account     = "222233334444"
  region      = "eu-west-1"
}

variable "project_folder" {
  description = "Folder of the project, with its trikk.toml."
  type        = string
}

variable "trikk" {
  description = "The command, as a path or a name on the PATH."
  type        = string
  default     = "trikk"
}

provider "awscc" {
  region = local.region

  assume_role = {
    role_arn     = "arn:aws:iam::${local.account}:role/${local.project}-${local.environment}-deploy"
    session_name = "terraform"
  }
}

module "project" {
  source = "../../modules/project"

  project          = local.project
  environment      = local.environment
  region           = local.region
  pipelines        = local.pipelines
  create_pipelines = false
  start_function   = local.start_function
  image            = var.image
  repositories     = ["arn:aws:ecr:eu-west-1:111122223333:repository/city"]

  force_destroy = true
  keep          = { logs = 30, exchange = 14, replaced = 7 }
  alerts        = { emails = ["ml-team@example.org"] }
}

module "pipeline" {
  for_each = local.pipelines
  source   = "../../modules/pipeline_awscc"

  name                   = module.project.pipelines[each.key]
  pipeline               = each.key
  project_folder         = var.project_folder
  trikk                  = var.trikk
  role                   = module.project.jobs_role.arn
  environment_parameters = module.project.parameters
  bucket                 = module.project.bucket.name
  key                    = module.project.key
  tags                   = local.tags
}
