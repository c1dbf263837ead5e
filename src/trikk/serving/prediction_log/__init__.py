"""What an endpoint has predicted, on its way into a table."""
