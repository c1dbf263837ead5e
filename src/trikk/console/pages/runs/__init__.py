"""`/runs`: what has run, and how."""
