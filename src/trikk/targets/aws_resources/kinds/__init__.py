"""How each kind of resource is read, made, changed and deleted."""
