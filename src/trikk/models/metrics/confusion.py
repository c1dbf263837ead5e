"""How often which class was said where which was true, and the metrics that follow from these counts. Pure.

Counts of days, slices and devices add up, so that the metrics of a month are those of all its cases. What is not
defined (a precision where a class was never said) has no value; within an average over classes it counts 0, as
scikit-learn's default has it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts of cases by their class and by what was said of them, both as `class_text` writes them.

    Attributes:
        cells: how many cases, by (truth, predicted).
        true: by class, how many cases were of it.
        said: by class, of how many cases it was said.
    """

    cells: Counter[tuple[str, str]] = field(default_factory=Counter)
    true: Counter[str] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, cells: Iterable[tuple[str, str, int]]) -> Confusion:
        """From rows of truth, predicted and count; a pair may come several times."""
        pairs, true, said = dict[tuple[str, str], int](), dict[str, int](), dict[str, int]()
        for truth, predicted, count in cells:
            if count:
                pair = (truth, predicted)
                pairs[pair] = pairs.get(pair, 0) + count
                true[truth] = true.get(truth, 0) + count
                said[predicted] = said.get(predicted, 0) + count
        return cls(Counter(pairs), Counter(true), Counter(said))

    @property
    def total(self) -> int:
        """All cases."""
        return self.true.total()

    @property
    def hits(self) -> int:
        """Cases of which the right class was said."""
        return sum(count for (truth, predicted), count in self.cells.items() if truth == predicted)

    @property
    def classes(self) -> list[str]:
        """The classes that are in the truth or were said."""
        return sorted({*self.true, *self.said})

    def to_json(self) -> list[list[str | int]]:
        """Rows of truth, predicted and count, in order."""
        return [[truth, predicted, count] for (truth, predicted), count in sorted(self.cells.items())]


def _accuracy(counts: Confusion) -> float:
    return counts.hits / counts.total


def _balanced_accuracy(counts: Confusion) -> float:
    return math.fsum(counts.cells[c, c] / n for c, n in counts.true.items()) / len(counts.true)


def _mcc(counts: Confusion) -> float | None:
    """Matthews' correlation; of several classes Gorodkin's."""
    total = counts.total
    agreed = counts.hits * total - sum(n * counts.said[c] for c, n in counts.true.items())
    true = total**2 - sum(n**2 for n in counts.true.values())
    said = total**2 - sum(n**2 for n in counts.said.values())
    return agreed / math.sqrt(true * said) if true and said else None


WHOLE: dict[str, Callable[[Confusion], float | None]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "mcc": _mcc,
}
"""Metrics of all classes."""

BY_CLASS: dict[str, Callable[[Any, Any, Any], tuple[Any, Any]]] = {
    "precision": lambda hits, true, said: (hits, said),  # noqa: ARG005
    "recall": lambda hits, true, said: (hits, true),  # noqa: ARG005
    "f1": lambda hits, true, said: (2 * hits, true + said),
}
"""Metrics of one class: what is above and below the line, of its hits, its cases and how often it was said.

Numbers or arrays of one shape.
"""

AVERAGES = ("macro", "weighted")


def counted(name: str, counts: Confusion, of: str | None = None) -> float | None:
    """A metric from counts.

    Args:
        name: accuracy, balanced_accuracy, mcc, precision, recall, f1, precision_macro, recall_weighted, ....
        counts: of all cases that are meant.
        of: the class, for plain precision, recall and f1.

    Returns:
        None where it is not defined; `undefined` says why.
    """
    if not counts.total:
        return None
    if name in WHOLE:
        return WHOLE[name](counts)
    single, _, average = name.partition("_")
    if not average:
        return None if of is None else of_class(single, counts, of)
    values = {c: of_class(single, counts, c) or 0.0 for c in counts.classes}
    if average == "macro":
        return math.fsum(values.values()) / len(values)
    return math.fsum(values[c] * n for c, n in counts.true.items()) / counts.total


def of_class(name: str, counts: Confusion, of: str) -> float | None:
    """Precision, recall or f1 of a class; None where it is not defined."""
    above, below = _parts(name, counts, of)
    return above / below if below else None


def _parts(name: str, counts: Confusion, of: str) -> tuple[int, int]:
    return BY_CLASS[name](counts.cells[of, of], counts.true[of], counts.said[of])


def follows(name: str) -> bool:
    """Whether a metric follows from counts alone, without a word on which class is meant."""
    single, _, average = name.partition("_")
    return name in WHOLE or (single in BY_CLASS and average in AVERAGES)


def parts_of(name: str, counts: Confusion, of: str | None = None) -> list[float] | None:
    """The sums above and below the line of a metric that is a quotient of counts; None for others.

    Args:
        name: accuracy, precision, recall or f1.
        counts: of all cases that are meant.
        of: the class, for all but accuracy.
    """
    if name == "accuracy":
        return [counts.hits, counts.total]
    if name not in BY_CLASS or of is None:
        return None
    return [*_parts(name, counts, of)]


def undefined(name: str, counts: Confusion, of: str | None = None) -> str:
    """Why a metric from counts has no value."""
    if not counts.total:
        return "no case has both a prediction and a truth"
    if name == "mcc":
        one = "the truth has one class only" if len(counts.true) == 1 else "one class was said of all cases"
        return f"{one}, {(counts.true if len(counts.true) == 1 else counts.said).most_common(1)[0][0]}"
    if name == "precision":
        return f"{of} was never predicted"
    if name == "recall":
        return f"no case is {of}"
    return f"no case is {of}, and it was never predicted"
