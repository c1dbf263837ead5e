"""Graphs in layers."""
