bucket       = "city-terraform-state"
key          = "city-production/terraform.tfstate"
region       = "eu-west-1"
encrypt      = true
use_lockfile = true
