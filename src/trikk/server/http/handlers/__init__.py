"""What answers the requests to each route."""
