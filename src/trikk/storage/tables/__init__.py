"""Versioned tables: Delta Lake folders, written exactly once and read as of a version."""
