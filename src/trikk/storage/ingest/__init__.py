"""Files into tables: read by one set of rules, and never twice."""
