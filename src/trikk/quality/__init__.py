"""Quality gates: checks of data that stop a run before bad data goes on."""
