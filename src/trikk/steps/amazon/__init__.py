"""Rows from Amazon services as steps."""
