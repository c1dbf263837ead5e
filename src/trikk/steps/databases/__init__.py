"""Rows from databases as a step."""
