"""Topics, and who subscribes to them."""
