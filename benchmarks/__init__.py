"""Speed of trikk beside the floor and its peers: `python -m benchmarks`; see docs/benchmarks.md."""
