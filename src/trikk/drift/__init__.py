"""Drift: whether two samples of a column come from different worlds, and by how much."""
