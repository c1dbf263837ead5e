"""Rules on what a server does: they need no configuration, and look at nothing in a project that has no server."""
