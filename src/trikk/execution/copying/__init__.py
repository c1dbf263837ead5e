"""Copying a project, with all that its runs made, from one place of storage to another."""
