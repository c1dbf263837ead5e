"""Predictions on demand: an HTTP server for a registered model."""
