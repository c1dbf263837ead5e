# A compiled definition, with what only the environment knows filled in: its role, image and bucket become the defaults
# of the parameters that were left open. Both ways of making a pipeline take it from here.

locals {
  document   = jsondecode(var.definition)
  parameters = try(local.document.Parameters, [])
  known      = { for name, value in var.environment_parameters : name => value if value != null }

  filled = [
    for parameter in local.parameters :
    !can(parameter.DefaultValue) && contains(keys(local.known), parameter.Name)
    ? merge(parameter, { DefaultValue = local.known[parameter.Name] })
    : parameter
  ]
  changes = anytrue([for p in local.parameters : !can(p.DefaultValue) && contains(keys(local.known), p.Name)])
  unknown = [
    for p in local.parameters : p.Name
    if !can(p.DefaultValue) && contains(keys(var.environment_parameters), p.Name) && !contains(keys(local.known), p.Name)
  ]

  # As it was compiled, to the byte, where nothing is to be filled in.
  text = local.changes ? jsonencode(merge(local.document, { Parameters = local.filled })) : var.definition

  # The service takes 1,048,576 characters; what is filled in needs some of them.
  large = length(var.definition) > 1000000
}

resource "aws_s3_object" "large" {
  count        = local.large ? 1 : 0
  bucket       = var.bucket
  key          = "definitions/${var.pipeline}.json"
  content      = local.text
  content_type = "application/json"
  kms_key_id   = var.key
}
