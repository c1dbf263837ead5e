"""What an engine runs for each step: one command, which does its step as a run at home would."""
