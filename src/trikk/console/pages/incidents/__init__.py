"""`/incidents`: what is wrong, and what was done about it."""
