"""The mirror for those who use MLflow."""
