"""Between the pipeline and what it rests on."""

from deep import base


def scaled(n: int) -> int:
    return base() * n


def unrelated() -> int:
    return 1
