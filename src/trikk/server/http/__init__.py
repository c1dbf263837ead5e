"""The server's doors: REST under `/api/v1`, health and metrics; a table of routes, and what answers each."""
