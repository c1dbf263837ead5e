"""What every HTTP server of trikk is made of, whatever it serves: listening, connections, callers, bodies."""
