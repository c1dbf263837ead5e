"""The container image in which engines run a project's steps."""
