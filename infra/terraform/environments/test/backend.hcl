bucket       = "city-terraform-state"
key          = "city-test/terraform.tfstate"
region       = "eu-west-1"
encrypt      = true
use_lockfile = true
