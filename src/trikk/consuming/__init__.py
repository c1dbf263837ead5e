"""Messages that others have sent, as rows: read in bounded pieces, each into its table once."""
