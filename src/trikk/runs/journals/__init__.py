"""Where events and ledger entries are kept: the port and its databases."""
