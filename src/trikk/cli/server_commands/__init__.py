"""Commands of the server, and on what it does."""
