variable "prefix" {
  description = "PROJECT-ENVIRONMENT, with which all names begin."
  type        = string
}

variable "pipelines" {
  description = "Names in SageMaker, by the pipelines' names in the project."
  type        = map(string)
}

variable "schedules" {
  description = "Triggers by name: when they come due, of which pipeline, and what the function is told."
  type = map(object({
    pipeline   = string
    expression = string
    timezone   = string
    input      = string
  }))

  validation {
    condition     = alltrue([for name in keys(var.schedules) : can(regex("^[0-9a-zA-Z_.-]{1,64}$", name))])
    error_message = "A schedule's name has at most 64 letters, digits, dots, dashes and underscores."
  }

  validation {
    condition = alltrue([
      for schedule in values(var.schedules) :
      can(regex("^cron\\([^ ]+ [^ ]+ [^ ]+ [^ ]+ [^ ]+ [^ ]+\\)$", schedule.expression))
      || can(regex("^rate\\([1-9][0-9]* (minute|minutes|hour|hours|day|days)\\)$", schedule.expression))
      || can(regex("^at\\([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\)$", schedule.expression))
    ])
    error_message = "A schedule's expression is cron(minute hour day month weekday year), rate(6 hours) or at(2027-01-01T00:00:00)."
  }
}

variable "function" {
  description = "The function's zip archive in base64."
  type        = string
}

variable "key" {
  description = "ARN of the key that encrypts the bucket and the topic."
  type        = string
}

variable "alerts" {
  description = "ARN of the topic that gets starts that failed."
  type        = string
}

variable "logs" {
  description = "Name and ARN of the log group that the function writes to."
  type        = object({ name = string, arn = string })
}

variable "bucket" {
  description = "Name of the bucket that holds the function's archive."
  type        = string
}
