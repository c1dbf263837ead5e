# Made and destroyed often: nothing in it is worth keeping.

locals {
  project     = "city"
  environment = "test"
  account     = "222233334444"
  region      = "eu-west-1"
}

module "project" {
  source = "../../modules/project"

  project        = local.project
  environment    = local.environment
  region         = local.region
  pipelines      = local.pipelines
  start_function = local.start_function
  image          = var.image
  repositories   = ["arn:aws:ecr:eu-west-1:111122223333:repository/city"]

  force_destroy = true
  keep          = { logs = 30, exchange = 14, replaced = 7 }
  alerts        = { emails = ["ml-team@example.org"] }
}
