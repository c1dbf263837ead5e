"""Streams that a server keeps reading into tables."""
