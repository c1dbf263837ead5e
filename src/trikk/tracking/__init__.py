"""Experiments: metrics and parameters of runs, compared, searched and mirrored."""
