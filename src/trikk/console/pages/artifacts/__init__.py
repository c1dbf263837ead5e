"""`/artifacts/DIGEST`: what a step made, without running any of it."""
