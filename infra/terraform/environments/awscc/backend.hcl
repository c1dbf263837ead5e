bucket       = "city-terraform-state"
key          = "city-awscc/terraform.tfstate"
region       = "eu-west-1"
encrypt      = true
use_lockfile = true
