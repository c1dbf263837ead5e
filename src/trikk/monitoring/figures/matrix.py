"""A confusion matrix for people: classes in order, what was said of each, and how well it is told. Pure.

Counts of windows and slices are added, so that it is that of all their cases.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.models.metrics.confusion import BY_CLASS, Confusion, counted, undefined
from trikk.monitoring.figures.window_figures import Figures

_LONG = 10  # characters of a class that still stand over a column
_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_DIGITS = re.compile(r"(\d+)")


class OfClass(Record, frozen=True):
    """How well a class is told.

    Attributes:
        name: the class as text.
        support: cases that are of it.
        predicted: cases of which it was said.
        precision: of the latter, the share that are of it; None where that is not defined, as are the others.
        recall: of the former, the share of which it was said.
        f1: the harmonic mean of both.
        reasons: by metric, why it has no value.
    """

    name: str
    support: int
    predicted: int
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    reasons: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def mistakes(self) -> int:
        """Cases of it that were taken for another, and others that were taken for it."""
        hits = round((self.recall or 0.0) * self.support)
        return self.support + self.predicted - 2 * hits


@dataclass(frozen=True, slots=True)
class Matrix:
    """How often which class was said where which was true.

    Attributes:
        classes: in order; the last one stands for `others` classes, if these are not 0.
        counts: a row for each class that was true, with a number for each that was said.
        by_class: how well each is told, those of the others together left out.
        others: how many classes are counted together.
        numbers: of the classes but these, the number of each in the whole matrix; 1, 2, ... if empty.
    """

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    by_class: tuple[OfClass, ...]
    others: int = 0
    numbers: tuple[int, ...] = ()

    @property
    def total(self) -> int:
        """All cases."""
        return sum(map(sum, self.counts))

    def mistakes(self) -> list[tuple[str, str, int]]:
        """Truth, predicted and count of each mistake that was made, the most frequent first."""
        cells = [
            (truth, said, count)
            for truth, row in zip(self.classes, self.counts, strict=True)
            for said, count in zip(self.classes, row, strict=True)
            if count and truth != said
        ]
        return sorted(cells, key=lambda cell: -cell[2])

    def to_json(self) -> dict[str, JSON]:
        """The matrix as JSON."""
        # Commands call it "class"; pages, which are stored, have the field's own name.
        rows: list[JSON] = [
            {("class" if key == "name" else key): value for key, value in one.to_json().items()}
            for one in self.by_class
        ]
        return {"classes": [*self.classes], "counts": [[*row] for row in self.counts], "by_class": rows}

    def bounded(self, most: int) -> Matrix:
        """The matrix of the classes with most mistakes, in the same order; the others are counted together.

        Args:
            most: how many rows there may be, that of the others among them.
        """
        if len(self.classes) <= most:
            return self
        ranked = sorted(self.by_class, key=lambda one: (-one.mistakes, -one.support, one.name))
        kept = {one.name for one in ranked[: most - 1]}
        places = [place for place, name in enumerate(self.classes) if name in kept]
        rest = [place for place, name in enumerate(self.classes) if name not in kept]
        merged = len(rest) + max(0, self.others - 1)  # those that were counted together before are one row
        numbers = self.numbers or range(1, len(self.classes) + 1)

        def row(counts: Sequence[int]) -> tuple[int, ...]:
            return (*(counts[place] for place in places), sum(counts[place] for place in rest))

        last = [sum(column) for column in zip(*(self.counts[place] for place in rest), strict=True)]
        return Matrix(
            (*(self.classes[place] for place in places), f"{merged} others"),
            (*(row(self.counts[place]) for place in places), row(last)),
            tuple(self.by_class[place] for place in places),
            merged,
            tuple(numbers[place] for place in places),
        )

    def labels(self, longest: int = _LONG) -> list[tuple[str, str]]:
        """What stands before each row and over its column: the class; a number over it where one is long."""
        if max(map(len, self.classes)) <= longest:
            return [(name, name) for name in self.classes]
        numbers = self.numbers or range(1, len(self.classes) + 1)
        numbered = [
            (f"{number}: {name}", str(number)) for number, name in zip(numbers, self.classes, strict=False)
        ]
        return numbered + [(self.classes[-1], "others")] * bool(self.others)


def table_of(
    matrix: Matrix, count: Callable[[int], str], share: Callable[[float | None], str], longest: int = _LONG
) -> tuple[list[str], list[list[str]]]:
    """A matrix as a table: its headings, and a row for each class, for what was predicted, and for precision.

    Args:
        matrix: the matrix.
        count: how a number of cases is written.
        share: how precision and recall are; None for none.
        longest: characters of a class that still stand over a column.
    """
    labels = matrix.labels(longest)
    by_name = {one.name: one for one in matrix.by_class}

    def metric(name: str, metric_name: str) -> str:
        return share(getattr(by_name[name], metric_name)) if name in by_name else ""

    rows = [
        [before, *map(count, counts), count(sum(counts)), metric(name, "recall")]
        for (before, _), name, counts in zip(labels, matrix.classes, matrix.counts, strict=True)
    ]
    said = [sum(column) for column in zip(*matrix.counts, strict=True)]
    rows.append(["predicted", *map(count, said), count(matrix.total), ""])
    rows.append(["precision", *(metric(name, "precision") for name in matrix.classes), "", ""])
    return ["truth", *(over for _, over in labels), "cases", "recall"], rows


def matrix_of(parts: Iterable[Figures], order: Iterable[str] = ()) -> Matrix | None:
    """The confusion matrix of windows or slices taken together.

    Args:
        parts: their figures; those without counts of classes are left out.
        order: classes in the order of the model; others come after them, in theirs.

    Returns:
        None if no case of classes is among them.
    """
    cells: list[Any] = [cell for figures in parts for cell in figures.confusion or ()]
    counts = Confusion.of(cells)
    if not counts.total:
        return None
    known = list(dict.fromkeys(order))
    classes = [*known, *sorted({*counts.classes} - {*known}, key=natural)]
    return Matrix(
        tuple(classes),
        tuple(tuple(counts.cells[truth, said] for said in classes) for truth in classes),
        tuple(_of_class(counts, name) for name in classes),
    )


def _of_class(counts: Confusion, name: str) -> OfClass:
    values = {metric: counted(metric, counts, name) for metric in BY_CLASS}
    reasons = {metric: undefined(metric, counts, name) for metric, value in values.items() if value is None}
    return OfClass(name, counts.true[name], counts.said[name], **values, reasons=reasons)


def natural(text: str) -> tuple[Any, ...]:
    """By what texts are put in order as people do: 3, 20, 100; pump 2 before pump 10."""
    if _NUMBER.fullmatch(text):
        return (0, float(text), text)
    parts = _DIGITS.split(text.casefold())
    return (1, [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts], text)
