"""What can be said of predictions before their truth is known."""
