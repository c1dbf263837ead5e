"""What should happen, as values: steps, parameters, conditions and the graph. No I/O and no clock in here."""
