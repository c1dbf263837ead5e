"""`/search`: anything by a piece of its name or id."""
