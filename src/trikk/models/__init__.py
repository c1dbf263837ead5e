"""Models as others use them: versions, aliases, signatures, predictions."""
