"""What every layer may use and what knows nothing of pipelines: errors, names, ids, time, digests."""
