"""Two modules away from the step."""


def base() -> int:
    # a comment
    return 100
