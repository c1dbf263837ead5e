"""The server: it looks for what is due and what has arrived, and has runs started for it."""
