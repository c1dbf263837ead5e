"""`/costs`: what runs took and cost."""
