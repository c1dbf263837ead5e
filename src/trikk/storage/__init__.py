"""Artifacts (values by content) and tables (versioned frames): everything that a run leaves behind."""
