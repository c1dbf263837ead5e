# As production, but smaller, and it may be destroyed.

locals {
  project     = "city"
  environment = "stage"
  account     = "333344445555"
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
  keep          = { logs = 90, exchange = 30 }
  alerts        = { emails = ["ml-team@example.org"] }
  network       = { zones = ["eu-west-1a", "eu-west-1b"] }
  registry      = { people = "How many people will pass each counter" }
}
