"""Pipelines for each day of a period as one piece of work: listed, shared, paused, gone on with, cancelled."""
