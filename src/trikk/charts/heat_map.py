"""A table of values, each cell as dark as its value is large, with the value written in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trikk.charts.drawing.axes import LINE, Plot, heading
from trikk.charts.drawing.glyph_widths import fitted, text_width
from trikk.charts.drawing.marks import Svg, dots, drawing, linked, path, rect, text
from trikk.charts.drawing.scales import finite

_STEPS = 7
_INVERTED = 4  # from this step on a text is written in the ground's colour
_LETTERS = {"text": 11, "small": 10, "tiny": 9}  # the largest of these that fit are taken for all cells
_MOST_NAME, _MOST_HEAD = 0.38, 90.0


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell.

    Attributes:
        value: how dark it is; None if there is none, which is drawn dotted.
        text: what is written in it, if it fits.
        scale: its colours: "heat"; "miss" for mistakes, "some" for what is neither.
        strong: whether it is written in bold.
        href: where it leads.
        title: what is shown where one points at it; its row, column and text if not given.
    """

    value: float | None
    text: str = ""
    scale: str = "heat"
    strong: bool = False
    href: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class HeatMap:
    """What a heat map shows.

    Attributes:
        label: the picture in words.
        rows: names, from above.
        columns: names, from the left.
        cells: of each row.
        title: stands above the picture.
        row_title, column_title: what rows and columns are.
        span: the values of the lightest and the darkest colour; the least and largest if None.
    """

    label: str
    rows: Sequence[str]
    columns: Sequence[str]
    cells: Sequence[Sequence[Cell]]
    title: str = ""
    row_title: str = ""
    column_title: str = ""
    span: tuple[float, float] | None = None


def heat_map(heat: HeatMap, *, width: float = 720, cell_height: float = 22) -> Svg:
    """A table of values as colours; what is too narrow for its text shows it where one points at it.

    Args:
        heat: what it shows.
        width: in pixels.
        cell_height: in pixels; as high is the picture.
    """
    parts, top = heading(heat.title, (), width)
    named = max([text_width(name) for name in heat.rows] + [text_width(heat.row_title, 10)], default=0.0)
    left = min(named + 10, width * _MOST_NAME)
    each = (width - left - 4) / max(len(heat.columns), 1)
    widest = max((text_width(name) for name in heat.columns), default=0.0)
    slanted = widest > each - 6
    head, reach = LINE + 2.0, min(widest, _MOST_HEAD) * 0.72
    if slanted:  # names that are turned reach beyond the last column
        each, head = min(each, (width - left - reach - 4) / max(len(heat.columns) - 0.5, 1)), reach + 12
    texts = max((text_width(cell.text, 1) for row in heat.cells for cell in row), default=0.0)
    look = next((look for look, size in _LETTERS.items() if texts * size <= each), "tiny")
    titled = LINE if heat.column_title or heat.row_title else 0
    plot = Plot(left, top + titled + head, width - 4, top + titled + head + cell_height * len(heat.rows))
    parts.append(text(heat.column_title, (left, top + 10), "small soft"))
    parts.append(text(heat.row_title, (left - 8, plot.top - 5), "small soft", anchor="end"))
    for place, name in enumerate(heat.columns):
        middle = left + (place + 0.5) * each
        shown = fitted(name, _MOST_HEAD if slanted else each)
        whole = name if shown != name else ""
        if not slanted:
            parts.append(text(shown, (middle, plot.top - 5), "text soft", anchor="middle", whole=whole))
        elif each >= 9 or place % int(-(-9 // each)) == 0:
            parts.append(text(shown, (middle - 2, plot.top - 4), "text soft", turned=-45, whole=whole))
    low, high = heat.span or _span(heat)
    for row, name in enumerate(heat.rows):
        upper = plot.top + row * cell_height
        shown = fitted(name, left - 10)
        whole = name if shown != name else ""
        parts.append(text(shown, (left - 8, upper + cell_height / 2 + 4), "text ink", anchor="end", whole=whole))
        for place, cell in enumerate(heat.cells[row]):
            box = (left + place * each + 0.5, upper + 0.5, each - 1, cell_height - 1)
            title = cell.title or f"{name}, {heat.columns[place]}: {cell.text or 'none'}"
            parts.append(linked(_cell(cell, box, low, high, look), title, cell.href))
    return drawing(width, plot.bottom + 4, heat.label, parts)


def _span(heat: HeatMap) -> tuple[float, float]:
    values = [value for row in heat.cells for cell in row if (value := finite(cell.value)) is not None]
    return min(values, default=0.0), max(values, default=1.0)


def _cell(cell: Cell, box: tuple[float, float, float, float], low: float, high: float, letters: str) -> str:
    left, top, width, height = box
    value = finite(cell.value)
    if value is None:
        body, look = rect(*box, "fill missing") + path(dots(*box), "dots missing-hatch"), "soft"
    else:
        share = (value - low) / (high - low) if high > low else 0.5
        step = min(max(int(share * _STEPS), 0), _STEPS - 1)
        body = rect(*box, f"fill {cell.scale}-{step}")
        look = "ground" if step >= _INVERTED else "ink"
    size = _LETTERS[letters]
    if cell.text and text_width(cell.text, size) <= width + 2:
        shape = "strong" if cell.strong and letters == "text" else letters
        middle = (left + width / 2, top + height / 2 + size * 0.36)
        body += text(cell.text, middle, f"{shape} {look}", anchor="middle")
    return body
