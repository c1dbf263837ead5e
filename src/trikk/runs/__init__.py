"""What happened, and what a run is locked to: the journal, its fold, code bundles, locks and comparisons."""
