"""An incident's life: what is decided of it, and its record in the ledger."""
