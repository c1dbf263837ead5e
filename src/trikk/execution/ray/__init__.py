"""Steps on a Ray cluster: the same calls, carried to its workers."""
