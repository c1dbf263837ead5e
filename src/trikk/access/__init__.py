"""Who may do what: roles, tokens, the guard that every HTTP server of trikk asks, and the log of changes."""
