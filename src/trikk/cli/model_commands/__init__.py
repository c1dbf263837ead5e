"""Commands on models, endpoints and features."""
