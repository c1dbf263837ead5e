# The caller's side: which roles of other accounts CI/CD, or a person who deploys, may take. It has no other right.

data "aws_iam_policy_document" "this" {
  statement {
    sid       = "TakeRoles"
    actions   = ["sts:AssumeRole", "sts:TagSession"]
    resources = var.roles
  }
}

resource "aws_iam_policy" "this" {
  name        = var.name
  description = "Take the roles by which environments are deployed"
  policy      = data.aws_iam_policy_document.this.json
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each   = var.callers
  role       = each.value
  policy_arn = aws_iam_policy.this.arn
}
