"""`/streams`: what servers keep reading into tables."""
