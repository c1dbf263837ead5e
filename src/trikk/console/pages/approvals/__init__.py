"""`/approvals`: what runs ask people."""
