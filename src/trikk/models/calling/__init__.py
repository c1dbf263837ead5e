"""Calling a model: what it takes, what it answers, and which rows it can answer for."""
