"""`/triggers`: what starts runs by itself."""
