"""A window's figures, how they are recorded, and how they are called and laid out for people."""
