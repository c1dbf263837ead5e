"""`/settings`: who may do what, who did, and how the servers are."""
