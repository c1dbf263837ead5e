"""The driver and its parts: it decides what a run does next and writes down each thing that happened."""
