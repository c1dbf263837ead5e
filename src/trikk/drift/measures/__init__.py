"""What is measured of a column's values, and how two measurements are compared."""
