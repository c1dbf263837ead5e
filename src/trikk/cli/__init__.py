"""The command line: thin, every command is a call of what lies below, and every error a sentence."""
