"""The author's code: loaded, fingerprinted, and compared with what it was when it ran."""
