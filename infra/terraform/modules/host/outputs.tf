output "instance" {
  description = "Id of the machine, for Session Manager."
  value       = aws_instance.this.id
}

output "role" {
  description = "Name of its role."
  value       = aws_iam_role.host.name
}

output "journal" {
  description = "Address of the journal, with the password's name in place of the password."
  value       = local.journal
}

output "journal_secret" {
  description = "ARN of the secret with the password."
  value       = aws_db_instance.this.master_user_secret[0].secret_arn
}
