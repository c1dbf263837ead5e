"""Schemas and suites of other libraries as checks."""
