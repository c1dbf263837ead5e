# Groups of versions in SageMaker's registry, for who looks for models there. The project's own registry is in its journal.

resource "aws_sagemaker_model_package_group" "this" {
  for_each                        = var.models
  model_package_group_name        = "${var.prefix}-${each.key}"
  model_package_group_description = each.value
}
