"""Cases: predictions beside their truth, and which of them count."""
