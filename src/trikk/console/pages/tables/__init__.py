"""`/tables`: versioned tables, what is in them, and who wrote and read which version."""
