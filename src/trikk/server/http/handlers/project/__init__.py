"""Requests on what a project has beside runs and data: studies of its past, channels, reports, upkeep."""
