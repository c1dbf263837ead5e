"""The kinds of rules: what each watches, and what it sees."""
