"""Keeping a project sound: checks, clean-up, costs, and which command helps next."""
