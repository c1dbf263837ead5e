"""What is around the marks of a chart: its title, its legend, its axes; no two labels overlap."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from trikk.charts.drawing.glyph_widths import fitted, text_width
from trikk.charts.drawing.marks import moved, number, path, rect, segment, spot, text
from trikk.charts.drawing.scales import Scale, Tick

LINE = 14
"""The height of a line of labels, in pixels."""
_APART = 6.0  # the least room between two labels
_SAMPLE = 16.0  # the width of a sample in a legend
_MOST_TICKS = 8  # of an upright axis


@dataclass(frozen=True, slots=True)
class Sample:
    """An entry of a legend: a mark, 16 pixels wide around a middle of height 0, and what it is."""

    mark: str
    name: str


def line_sample(look: str, name: str) -> Sample:
    """A line in a legend."""
    return Sample(segment((0, 0), (_SAMPLE, 0), look), name)


def box_sample(look: str, name: str) -> Sample:
    """An area in a legend."""
    return Sample(rect(0, -4.5, _SAMPLE, 9, look), name)


@dataclass(frozen=True, slots=True)
class Plot:
    """The area of the marks, in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Its width."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Its height."""
        return self.bottom - self.top


def heading(title: str, samples: Sequence[Sample], width: float) -> tuple[list[str], float]:
    """A title and the legend below it, with the height that they take."""
    parts, top = [], 0.0
    if title:
        parts.append(text(fitted(title, width / 1.12, 13), (0, 14), "title ink", whole=_whole(title, width)))
        top = 20.0
    left = 0.0
    for sample in samples:
        wide = _SAMPLE + 5 + text_width(sample.name, 10) + 14
        if left and left + wide > width:
            left, top = 0.0, top + LINE
        parts += [
            moved(sample.mark, (left, top + 7)),
            text(sample.name, (left + _SAMPLE + 5, top + 10.5), "small soft"),
        ]
        left += wide
    return parts, top + (LINE + 4 if samples else 0)


def _whole(title: str, width: float) -> str:
    return "" if fitted(title, width / 1.12, 13) == title else title


def ticks_fitting(scale: Scale, height: float) -> list[Tick]:
    """The ticks of an upright axis, as many as can be read."""
    return scale.ticks(max(2, min(_MOST_TICKS, int(height // 18))))


def room_for(ticks: Sequence[Tick]) -> float:
    """The width that the labels of an upright axis take."""
    return max((text_width(tick.text) for tick in ticks), default=0.0) + 8


def upright_axis(ticks: Sequence[Tick], scale: Scale, plot: Plot) -> list[str]:
    """Faint lines across the plot with their values; that of zero is stronger where it is not the base."""
    grid = "".join(f"M{spot((plot.left, scale(tick.value)))}H{number(plot.right)}" for tick in ticks)
    labels = [text(t.text, (plot.left - 6, scale(t.value) + 3.5), "text soft", anchor="end") for t in ticks]
    if any(tick.value == 0 for tick in ticks) and scale(0.0) < plot.bottom - 1:
        labels.append(segment((plot.left, scale(0.0)), (plot.right, scale(0.0)), "thin edge"))
    return [path(grid, "thin grid"), *labels] if ticks else []


def level_axis(ticks: Sequence[Tick], scale: Scale, plot: Plot, *, lines: bool = False) -> list[str]:
    """The base line and the labels below it; of labels that would overlap every other is left out, and so on."""
    parts = [segment((plot.left, plot.bottom), (plot.right, plot.bottom), "thin grid")]
    shown = spaced(ticks, scale)
    if lines:
        uprights = (f"M{spot((scale(tick.value), plot.top))}V{number(plot.bottom)}" for tick in shown)
        parts.append(path("".join(uprights), "thin grid"))
    for tick in shown:
        place = (_within(tick.text, scale(tick.value), plot), plot.bottom + 13)
        parts += [text(tick.text, place, "text soft", anchor="middle")]
    return parts + _contexts([tick for tick in ticks if tick.context], scale, plot)


def _contexts(ticks: Sequence[Tick], scale: Scale, plot: Plot) -> list[str]:
    """The line below the labels; what began before the first tick gives way to what begins soon after it."""
    parts, end = [], float("-inf")
    for i, tick in enumerate(ticks):
        middle, half = _within(tick.context, scale(tick.value), plot), text_width(tick.context, 10) / 2
        following = ticks[i + 1] if i + 1 < len(ticks) else None
        near = following is not None and middle + half + _APART > scale(following.value) - half
        if middle - half > end + _APART and not (i == 0 and near):
            parts.append(text(tick.context, (middle, plot.bottom + 13 + LINE), "small soft", anchor="middle"))
            end = middle + half
    return parts


def axis_height(ticks: Sequence[Tick]) -> float:
    """The height that the labels of a level axis take."""
    return LINE + 4 + (LINE if any(tick.context for tick in ticks) else 0)


def spaced(ticks: Sequence[Tick], scale: Scale) -> list[Tick]:
    """As many of the ticks, in equal steps, as have labels that do not touch."""
    for step in range(1, len(ticks) + 1):
        shown = list(ticks[::step])
        ends = [(scale(t.value) - text_width(t.text) / 2, scale(t.value) + text_width(t.text) / 2) for t in shown]
        if all(left[1] + _APART <= right[0] for left, right in itertools.pairwise(ends)):
            return shown
    return list(ticks[:1])


def _within(label: str, middle: float, plot: Plot) -> float:
    """Where a label's middle is, so that it is not cut off at the picture's edges."""
    half = text_width(label) / 2
    return max(min(middle, plot.right + 4 - half), half) if plot.width > 2 * half else middle
