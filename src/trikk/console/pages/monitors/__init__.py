"""`/monitors`: how predictions do, from a figure down to one case."""
