"""A monitor's days beside earlier ones: how different their values are."""
