"""Conditions of alarms as values: what `mae > 1.3 * baseline and coverage >= 0.8` means (`language` reads it).

A name is a metric of the monitor, or one of `COUNTS`. Something that is not known (a metric of a window without
labels) makes a comparison neither true nor false.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

NOWCASTS = ("too_late", "too_early", "corrected")
UNLABELLED = ("unseen", "predicted", "set_aside", *NOWCASTS)
"""What is known of predictions as soon as they are there."""
COUNTS = (
    "coverage",
    "interval_coverage",
    "waiting",
    "unpredicted",
    "observed",
    "labelled",
    "unseen_class",
    *UNLABELLED,
)
COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


class Source(StrEnum):
    """Where the value of a name comes from."""

    METRIC = "metric"
    BASELINE = "baseline"
    USUAL = "usual"
    ESTIMATED = "estimated"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Name:
    """A figure, and where its value comes from.

    `paired` is a metric that is compared with a baseline, and an estimate that is compared with either: both are
    of the same cases then. `beside` is one that stands in one comparison with a baseline or what is usual: of a
    bias, which is the better the nearer it is to zero, sizes are compared then.
    """

    kind: Source
    name: str
    paired: bool = False
    beside: bool = field(default=False, compare=False)


Values = Callable[[Name], float | None]


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """A number that is computed; `sign` is a number's text, "name", "neg", "abs" or an operator."""

    sign: str
    parts: tuple[Arithmetic, ...] = ()
    number: float = 0.0
    name: Name | None = None

    def value(self, values: Values) -> float | None:
        """Its value; None if something in it is not known, or is divided by zero."""
        if self.name is not None:
            return values(self.name)
        if not self.parts:
            return self.number
        known = [part.value(values) for part in self.parts]
        if any(value is None for value in known):
            return None
        first, *rest = [value for value in known if value is not None]
        if not rest:
            return abs(first) if self.sign == "abs" else -first
        # Nothing is known of a share of nothing: neither true nor false, and no error in the night.
        if self.sign == "/" and rest[0] == 0:
            return None
        result = _ARITHMETIC[self.sign](first, rest[0])
        return result if math.isfinite(result) else None

    def names(self) -> Iterator[Name]:
        """Every figure in it."""
        if self.name is not None:
            yield self.name
        for part in self.parts:
            yield from part.names()


@dataclass(frozen=True, slots=True)
class Compared:
    """What one comparison came to, for people: "wape 0.346 > 0.3"."""

    text: str  # as it was written
    value: float | None  # of its left side
    limit: float | None  # of its right side
    holds: bool | None  # whether it is true; None if not known

    @property
    def excess(self) -> float:
        """How far the value is beyond the limit, as a share of the limit; 0 if the comparison is not true."""
        if not self.holds or self.value is None or self.limit is None:
            return 0.0
        # A limit of 0 has no share: any number above it then counts as far beyond.
        return abs(self.value - self.limit) / max(abs(self.limit), 1e-9)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition; `sign` is a comparison, "and", "or" or "not"."""

    sign: str
    parts: tuple[Condition, ...] = ()
    sides: tuple[Arithmetic, Arithmetic] | None = None
    text: str = ""

    def judge(self, values: Values) -> tuple[bool | None, list[Compared]]:
        """Whether it holds (None: not known), and what each of its comparisons came to."""
        if self.sides is not None:
            left, right = (side.value(values) for side in self.sides)
            holds = None if left is None or right is None else COMPARE[self.sign](left, right)
            return holds, [Compared(self.text, left, right, holds)]
        judged = [part.judge(values) for part in self.parts]
        seen = [one for _, compared in judged for one in compared]
        truths = [truth for truth, _ in judged]
        if self.sign == "not":
            return None if truths[0] is None else not truths[0], seen
        # Kleene: one true part decides an `or`, one false part an `and`, whatever is unknown beside it.
        decisive = self.sign == "or"
        if decisive in truths:
            return decisive, seen
        return None if None in truths else not decisive, seen

    def names(self) -> Iterator[Name]:
        """Every figure in it."""
        for side in self.sides or ():
            yield from side.names()
        for part in self.parts:
            yield from part.names()
