"""trikk."""
