"""A confusion matrix as a picture: a cell leads to its cases, mistakes are red, and each row adds up to one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from trikk.charts import Cell, HeatMap, Svg, heat_map
from trikk.monitoring.figures.matrix import Matrix

_MOST = 20  # classes: of more, those with most mistakes; the document has all


def matrix_picture(matrix: Matrix, address: str, kept: Mapping[str, Any]) -> Svg:
    """A matrix as a picture.

    Args:
        matrix: the matrix.
        address: of the page of cases; "" if cells lead nowhere.
        kept: its query, without the cell.
    """
    shown = matrix.bounded(_MOST)
    labels = shown.labels()
    known = len(shown.classes) - (1 if shown.others else 0)
    cells = []
    for row, counts in enumerate(shown.counts):
        whole = sum(counts) or 1
        line = []
        for place, count in enumerate(counts):
            truth, said = shown.classes[row], shown.classes[place]
            is_right = row == place
            leads = bool(count and address) and row < known and place < known
            href = f"{address}?{urlencode({**kept, 'truth': truth, 'predicted': said})}" if leads else ""
            title = f"{truth} taken for {said}: {count:,} ({count / whole:.1%})"
            words = f"{count:,}" if count else ""
            scale = "some" if row >= known and place >= known else "heat" if is_right else "miss"
            line.append(Cell(count / whole, words, scale, strong=is_right, href=href, title=title))
        cells.append(line)
    mistakes = matrix.total - sum(row[place] for place, row in enumerate(matrix.counts))
    heat = HeatMap(
        f"{mistakes:,} of {matrix.total:,} cases were taken for another class",
        [before for before, _ in labels],
        [over for _, over in labels],
        cells,
        row_title="truth",
        column_title="predicted",
        span=(0.0, 1.0),
    )
    return heat_map(heat, width=min(720, 200 + 60 * len(labels)))
