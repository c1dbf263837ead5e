"""What all pictures are made of: marks, what they mean, scales, axes."""
