"""To whom pages go, and how they get there."""
