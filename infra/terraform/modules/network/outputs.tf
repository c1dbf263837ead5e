output "vpc" {
  description = "Id of the network."
  value       = aws_vpc.this.id
}

output "subnets" {
  description = "Ids and ARNs of the private subnets."
  value = {
    ids  = [for subnet in aws_subnet.private : subnet.id]
    arns = [for subnet in aws_subnet.private : subnet.arn]
  }
}

output "jobs_security_group" {
  description = "Id and ARN of the security group of jobs."
  value       = { id = aws_security_group.jobs.id, arn = aws_security_group.jobs.arn }
}

output "s3_prefix_list" {
  description = "Id of the list of S3's addresses."
  value       = aws_vpc_endpoint.s3.prefix_list_id
}
