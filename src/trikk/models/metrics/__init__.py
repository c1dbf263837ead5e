"""Metrics: their names, how they are computed, and what they are summed from."""
