"""`/models`: registered models, their versions, and who holds which alias."""
