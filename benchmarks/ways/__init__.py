"""What the cases do, by trikk, by hand and by other tools: each way is a function that makes its work ready."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class Unavailable(Exception):
    """A way that can't be had on this machine, for the reason in the text."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A way that is ready to be timed.

    Attributes:
        run: what is timed.
        answer: makes plain values of what it returns, to compare; not timed.
        before: called before each run; not timed.
    """

    run: Callable[[], Any]
    answer: Callable[[Any], Any] = lambda result: result
    before: Callable[[], object] = lambda: None
