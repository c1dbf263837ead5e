"""What is measured: one table of names for Prometheus, CloudWatch and Datadog, and the ways to the latter."""
