variable "project" {
  description = "Name of the project, as in trikk.toml."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.project)) && length(var.project) <= 24
    error_message = "The project's name is made of small letters, digits and single dashes, begins with a letter, and has at most 24 characters: all names in AWS begin with it. Not: ${var.project}"
  }
}

variable "environment" {
  description = "Name of the environment: test, stage, production, or a branch's."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.environment)) && length(var.environment) <= 24
    error_message = "The environment's name is made of small letters, digits and single dashes, begins with a letter, and has at most 24 characters. Not: ${var.environment}"
  }
}

variable "region" {
  description = "Region in which all of it is meant to be."
  type        = string
}

variable "pipelines" {
  description = "What `trikk compile terraform PIPELINE` prints, by the pipeline's name."
  type = map(object({
    definition         = string
    description        = optional(string)
    max_parallel_steps = optional(number)
    missed_after       = optional(number)
    name               = string
    tags               = optional(map(string), {})
    schedules = optional(map(object({
      expression = string
      timezone   = string
      input      = optional(string, "{}")
    })), {})
  }))
  default = {}
}

variable "start_function" {
  description = "The function that schedules call, as the zip archive in base64 that `trikk compile terraform` prints; null where nothing is scheduled."
  type        = string
  default     = null

  validation {
    condition     = var.start_function == null || can(regex("^UEsD", var.start_function))
    error_message = "start_function is no zip archive in base64: take it from `trikk compile terraform PIPELINE`."
  }
}

variable "create_pipelines" {
  description = "Whether this module makes the pipelines, by the AWS provider. False where another does, such as `pipeline_awscc`."
  type        = bool
  default     = true
}

variable "bucket" {
  description = "Name of the bucket, unique among all accounts of AWS; PROJECT-ENVIRONMENT-ACCOUNT if null."
  type        = string
  default     = null

  validation {
    condition     = var.bucket == null || can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "A bucket's name has 3 to 63 small letters, digits and dashes, and no dots: ${var.bucket == null ? "" : var.bucket}"
  }
}

variable "image" {
  description = "Image in which steps run, by digest; null where trikk.toml has it."
  type        = string
  default     = null

  validation {
    condition     = var.image == null || can(regex("^[^ ]+@sha256:[0-9a-f]{64}$", var.image))
    error_message = "The image must be named by its digest (NAME@sha256:...): a tag can mean another image tomorrow."
  }
}

variable "repositories" {
  description = "ARNs of the ECR repositories with the project's images."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.repositories : can(regex("^arn:[a-z-]+:ecr:[a-z0-9-]+:[0-9]{12}:repository/[^*]+$", arn))])
    error_message = "Each repository is an ARN such as arn:aws:ecr:eu-west-1:111122223333:repository/city."
  }
}

variable "alerts" {
  description = "Who is told: addresses of mail, https addresses, and a channel of Slack."
  type = object({
    emails   = optional(set(string), [])
    webhooks = optional(set(string), [])
    slack    = optional(object({ workspace = string, channel = string }))
  })
  default = {}

  validation {
    condition     = alltrue([for address in var.alerts.emails : can(regex("^[^@ ]+@[^@ ]+[.][^@ ]+$", address))])
    error_message = "One of alerts.emails is no address of mail."
  }

  validation {
    condition     = alltrue([for address in var.alerts.webhooks : startswith(address, "https://")])
    error_message = "Alerts go to https addresses only: anybody on the way could read them otherwise."
  }

  validation {
    condition     = var.alerts.slack == null || can(regex("^T[0-9A-Z]+$", var.alerts.slack.workspace)) && can(regex("^[CG][0-9A-Z]+$", var.alerts.slack.channel))
    error_message = "alerts.slack wants the ids that Slack shows: workspace such as T0AAAAAAA, channel such as C0AAAAAAA."
  }
}

variable "keep" {
  description = "Days for which logs, what jobs exchanged, and replaced objects are kept. exchange = 0 keeps all of the bucket for ever."
  type = object({
    logs     = optional(number, 365)
    exchange = optional(number, 90)
    replaced = optional(number, 30)
  })
  default = {}

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.keep.logs)
    error_message = "keep.logs is one of the lengths that CloudWatch knows: 30, 90, 365, 731 days and so on."
  }
}

variable "force_destroy" {
  description = "Whether `terraform destroy` removes the bucket with all data in it."
  type        = bool
  default     = false
}

variable "network" {
  description = "A network without a way in for jobs, endpoint and host; null for none, with jobs outside any network of ours."
  type = object({
    cidr     = optional(string, "10.20.0.0/16")
    zones    = list(string)
    services = optional(set(string), ["ecr.api", "ecr.dkr", "kms", "logs", "monitoring", "sagemaker.api", "secretsmanager", "sns", "sts", "ssm", "ssmmessages"])
  })
  default = null

  validation {
    condition     = var.network == null || can(cidrsubnet(var.network.cidr, 4, length(var.network.zones) - 1))
    error_message = "network.cidr must be such as 10.20.0.0/16, and have at least one and at most 16 zones."
  }
}

variable "dashboard" {
  description = "Whether there is a dashboard in CloudWatch."
  type        = bool
  default     = true
}

variable "endpoint" {
  description = "A model behind an address of SageMaker; null for none."
  type = object({
    image         = string
    model_data    = optional(string)
    environment   = optional(map(string), {})
    instance_type = optional(string, "ml.t2.medium")
    instances     = optional(number, 1)
  })
  default = null
}

variable "registry" {
  description = "Models of which SageMaker's registry keeps versions, with what each is for."
  type        = map(string)
  default     = {}
}

variable "kafka" {
  description = "What jobs and host may read and publish on an MSK cluster whose clients sign in by IAM; null for nothing."
  type = object({
    cluster = string
    reads   = optional(set(string), [])
    writes  = optional(set(string), [])
  })
  default = null
}

variable "host" {
  description = "A machine with `trikk serve` and a database for the journal; null for none. It needs `network`."
  type = object({
    image            = string
    instance_type    = optional(string, "t3.large")
    disk             = optional(number, 50)
    database_class   = optional(string, "db.t4g.medium")
    database_storage = optional(number, 20)
    lasting          = optional(bool, true)
    airflow_image    = optional(string)
    ansible_image    = optional(string)
  })
  default = null
}
