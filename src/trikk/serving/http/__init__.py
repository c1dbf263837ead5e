"""The HTTP side of an endpoint: requests in, answers out."""
