"""From an incident to people: messages, the channels that carry them, and their attempts."""
