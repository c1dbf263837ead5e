"""Feature tables: what was known when, for training and for serving from one definition."""
