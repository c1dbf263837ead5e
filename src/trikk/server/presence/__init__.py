"""That a server is there, and that it is noticed when it, or what it is there for, is not."""
