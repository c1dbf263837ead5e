# What customers rely on: `terraform destroy` refuses to remove its bucket, and its database is protected.

locals {
  project     = "city"
  environment = "production"
  account     = "444455556666"
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

  alerts = {
    emails = ["ml-team@example.org"]
    slack  = { workspace = "T0AAAAAAA", channel = "C0AAAAAAA" }
  }
  network  = { zones = ["eu-west-1a", "eu-west-1b"] }
  registry = { people = "How many people will pass each counter" }
}
