"""Steps that others wait for, though no data flows: those that check rows, and those that ask people."""
