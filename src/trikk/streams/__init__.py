"""Streams that a server keeps reading into tables: what trikk.toml says of them, and what is known of each."""
