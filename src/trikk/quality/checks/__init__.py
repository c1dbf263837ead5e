"""The kinds of checks: each a class that says what it asks for, what to count, and what that means."""
