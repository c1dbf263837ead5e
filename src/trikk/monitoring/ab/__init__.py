"""Two sides compared on exactly the same cases."""
