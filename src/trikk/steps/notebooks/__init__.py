"""Notebooks as steps."""
