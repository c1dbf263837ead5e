"""Estimates with what they could as well be: a dot within its interval, beside zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trikk.charts.drawing.axes import LINE, Plot, axis_height, heading, level_axis
from trikk.charts.drawing.glyph_widths import fitted, text_width
from trikk.charts.drawing.marks import Svg, circle, drawing, linked, rect, segment, text
from trikk.charts.drawing.scales import finite, scale_over, value_text

_ROW, _MOST_NAME = 26.0, 0.36


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its interval; its role is "better", "worse", or "baseline" where it says neither."""

    name: str
    value: float
    low: float
    high: float
    role: str = "baseline"
    href: str = ""
    title: str = ""


def interval_plot(
    intervals: Sequence[Interval],
    label: str,
    *,
    title: str = "",
    unit: str = "",
    sides: tuple[str, str] = ("", ""),
    width: float = 560,
) -> Svg:
    """Estimates one below the other on one scale, which has zero on it.

    Args:
        intervals: from above.
        label: the picture in words.
        title: stands above the picture.
        unit: as of `Lines.unit`; another text stands beside the axis.
        sides: what values below and above zero mean: ("A is better", "B is better").
        width: in pixels; the picture is as high as there are intervals.
    """
    parts, top = heading(title, (), width)
    top += LINE if any(sides) else 2
    left = min(max((text_width(one.name) for one in intervals), default=0.0) + 10, width * _MOST_NAME)
    plot = Plot(left, top, width - 4, top + _ROW * max(len(intervals), 1))
    ends = [end for one in intervals for end in (one.low, one.value, one.high)]
    x = scale_over([0.0, *ends], plot.left + 6, plot.right - 6, unit=unit)
    ticks = x.ticks(max(2, int(plot.width / 70)))
    parts += level_axis(ticks, x, plot, lines=True)
    parts.append(segment((x(0.0), plot.top), (x(0.0), plot.bottom), "thin ink"))
    parts.append(text(sides[0], (x(0.0) - 8, plot.top - 4), "small soft", anchor="end"))
    parts.append(text(sides[1], (x(0.0) + 8, plot.top - 4), "small soft"))
    for row, one in enumerate(intervals):
        middle = plot.top + _ROW * (row + 0.5)
        body = rect(0, middle - _ROW / 2, width, _ROW, "hit ground")
        body += text(fitted(one.name, left - 10), (left - 8, middle + 4), "text ink", anchor="end")
        if finite(one.low) is not None and finite(one.high) is not None:
            body += segment((x(one.low), middle), (x(one.high), middle), f"line {one.role}")
            for end in (one.low, one.high):
                body += segment((x(end), middle - 4), (x(end), middle + 4), f"line {one.role}")
        if finite(one.value) is not None:
            body += circle((x(one.value), middle), 4, f"fill {one.role}")
        words = f"{value_text(one.value, unit)}, from {value_text(one.low, unit)} to {value_text(one.high, unit)}"
        parts.append(linked(body, one.title or f"{one.name}: {words}", one.href))
    named = unit if unit not in ("", "s", "%", "B") else ""
    below = plot.bottom + axis_height(ticks)
    parts.append(text(named, (plot.right, below + 8), "small soft", anchor="end"))
    return drawing(width, below + 10 * bool(named), label, parts)
