"""Commands on runs: start, look at, go on, compare."""
