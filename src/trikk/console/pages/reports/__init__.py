"""`/reports`: pages for others, made from the monitors' figures."""
