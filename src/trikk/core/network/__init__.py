"""Addresses and TLS: what every connection to a server needs."""
