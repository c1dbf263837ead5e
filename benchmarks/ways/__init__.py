"""What the cases do, by trikk, by hand and by other tools: each way is a function that makes its work ready."""


class Unavailable(Exception):
    """A way that can't be had on this machine, for the reason in the text."""
