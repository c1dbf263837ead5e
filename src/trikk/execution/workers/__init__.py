"""The processes that do attempts, and what goes between them and the driver."""
