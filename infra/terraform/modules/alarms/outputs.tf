output "watched" {
  description = "Names of the pipelines whose missed starts are watched."
  value       = sort(keys(local.missed))
}
