"""Where features are kept to be served: SQLite, Redis."""
