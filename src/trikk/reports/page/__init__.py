"""A report's page: its content, and its forms as HTML, PDF and mail."""
