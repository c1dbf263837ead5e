"""A confusion matrix on a terminal, and why figures have no value."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from trikk.cli.printing import echo, number_text, table
from trikk.core.text import printable, shorten

if TYPE_CHECKING:
    from trikk.monitoring.figures.matrix import Matrix
    from trikk.monitoring.figures.window_figures import Figures

_WIDTH, _LABEL = 120, 30
_FEWEST = 3


def show_matrix(matrix: Matrix, whose: str) -> None:
    """Print a confusion matrix with totals, the recall of each class beside its row, precision under its column.

    As many classes are shown as the terminal is wide for, those with most mistakes; the others are counted
    together.

    Args:
        matrix: the matrix.
        whose: of what it is, such as "14 days".
    """
    most = len(matrix.classes)
    # A pipe has no width, and a hundred classes would be lines that nobody reads.
    limit = shutil.get_terminal_size((_WIDTH, 24)).columns if sys.stdout.isatty() else _WIDTH
    heads, rows = _cells(matrix)
    while _width(heads, rows) > limit and most > _FEWEST:
        most -= 1
        # One class less at a time: how wide it is depends on the names that are left.
        heads, rows = _cells(matrix.bounded(most))
    echo("")
    echo(f"{whose}: rows are the truth, columns what was predicted")
    table(heads, rows, right=heads[1:])
    if most < len(matrix.classes):
        echo(f"the {most - 1} of {len(matrix.classes)} classes with most mistakes; --json has all")
    show_reasons(
        {f"{metric} of {one.name}": why for one in matrix.by_class for metric, why in one.reasons.items()}
    )


def _cells(matrix: Matrix) -> tuple[list[str], list[list[str]]]:
    from trikk.monitoring.figures.matrix import table_of

    heads, rows = table_of(matrix, _count, lambda share: number_text(share, ".1%"))
    heads = [heads[0].upper(), *map(printable, heads[1:-2]), *map(str.upper, heads[-2:])]
    return heads, [[shorten(printable(row[0]), _LABEL), *row[1:]] for row in rows]


def _width(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    return sum(2 + max(map(len, column)) for column in zip(heads, *rows, strict=True)) - 2


def _count(count: int) -> str:
    return f"{count:,}" if count else "."


def show_reasons(reasons: Mapping[str, str]) -> None:
    """Print why figures have no value, a line for each reason, with the figures that it is of."""
    by_reason: dict[str, list[str]] = {}
    for name, why in reasons.items():
        by_reason.setdefault(why, []).append(name)
    for why, names in by_reason.items():
        echo(printable(f"-: {', '.join(names)}: {why}"))


def reasons_of(parts: Iterable[tuple[str, Figures]]) -> dict[str, str]:
    """Why figures have no value, by the figures' names and by where that is so."""
    places: dict[tuple[str, str], list[str]] = {}
    for where, figures in parts:
        for name, why in figures.reasons.items():
            places.setdefault((name, why), []).append(where)
    names: dict[tuple[str, str], list[str]] = {}
    for (name, why), places_of_it in places.items():
        names.setdefault((_some(places_of_it), why), []).append(name)
    return {f"{', '.join(together)} ({where})": why for (where, why), together in names.items()}


def _some(places: Sequence[str], most: int = 3) -> str:
    more = f" and {len(places) - most} more" if len(places) > most else ""
    return ", ".join(places[:most]) + more
