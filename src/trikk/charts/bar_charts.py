"""Bars: features by importance or drift, and a distribution beside the one that it is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from trikk.charts.drawing.axes import (
    Plot,
    axis_height,
    box_sample,
    heading,
    level_axis,
    room_for,
    ticks_fitting,
    upright_axis,
)
from trikk.charts.drawing.glyph_widths import fitted, text_width
from trikk.charts.drawing.marks import Svg, drawing, linked, rect, segment, text
from trikk.charts.drawing.scales import SHARE, Band, Tick, finite, scale_over, value_text

_ROW, _MOST_NAME = 20.0, 0.36
_WIDEST = 48.0  # a bar of a distribution
_PAIR = ("rimmed reference", "fill series-1")


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar: what it is of, how long it is, what is written behind it, and what its colour means."""

    name: str
    value: float
    text: str = ""
    role: str = "series-1"
    href: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Bin:
    """A range of values or a category, with the shares of the reference and of the current rows that lie in it."""

    name: str
    reference: float
    current: float
    href: str = ""
    title: str = ""


def ranked_bars(bars: Sequence[Bar], label: str, *, title: str = "", width: float = 480) -> Svg:
    """Bars from the left, one below the other, as given; negative ones reach to the left of zero.

    Args:
        bars: from above.
        label: the picture in words.
        title: stands above the picture.
        width: in pixels; the picture is as high as there are bars.
    """
    parts, top = heading(title, (), width)
    top += 2
    left = min(max((text_width(bar.name) for bar in bars), default=0.0) + 10, width * _MOST_NAME)
    texts = [bar.text or value_text(bar.value) for bar in bars]
    room = max((text_width(words, 10) for words in texts), default=0.0) + 8
    values = [finite(bar.value) or 0.0 for bar in bars]
    low = min([0.0, *values])
    x = scale_over([0.0, *values], left + room * (low < 0), width - room, room=0)
    bottom = top + _ROW * max(len(bars), 1)
    for row, (bar, value, words) in enumerate(zip(bars, values, texts, strict=True)):
        upper = top + row * _ROW
        start, end = sorted((x(0.0), x(value)))
        shown = fitted(bar.name, left - 10)
        body = rect(0, upper, width, _ROW, "hit ground")
        body += rect(start, upper + 3, max(end - start, 1), _ROW - 6, f"fill {bar.role}")
        body += text(shown, (left - 8, upper + 14), "text ink", anchor="end")
        after = (end + 5, "start") if value >= 0 else (start - 5, "end")
        body += text(words, (after[0], upper + 13.5), "small soft", anchor=after[1])
        parts.append(linked(body, bar.title or f"{bar.name}: {words}", bar.href))
    parts.append(segment((x(0.0), top), (x(0.0), bottom), "thin edge"))
    return drawing(width, bottom + 4, label, parts)


def distribution_chart(
    bins: Sequence[Bin],
    label: str,
    *,
    title: str = "",
    names: tuple[str, str] = ("reference", "current"),
    width: float = 480,
    height: float = 180,
) -> Svg:
    """A distribution as bars before the wider ones of the reference: where they differ, one of them stands out.

    Args:
        bins: in order; shares are of one.
        label: the picture in words.
        title: stands above the picture.
        names: of the two.
        width: in pixels.
        height: in pixels.
    """
    samples = [box_sample(f"{look}", name) for look, name in zip(_PAIR, names, strict=True)]
    parts, top = heading(title, samples, width)
    bins = [
        replace(one, reference=finite(one.reference) or 0.0, current=finite(one.current) or 0.0) for one in bins
    ]
    shares = [share for one in bins for share in (one.reference, one.current)]
    x_ticks = [Tick(place, one.name) for place, one in enumerate(bins)]
    left = room_for(ticks_fitting(scale_over(shares, height, 0, zero=True, unit=SHARE), height - 50))
    plot = Plot(left, top + 6, width - 4, height - axis_height(x_ticks))
    y, x = scale_over(shares, plot.bottom, plot.top, zero=True, unit=SHARE), Band(len(bins), plot.left, plot.right)
    parts += upright_axis(ticks_fitting(y, plot.height), y, plot)
    parts += level_axis(x_ticks, x, plot)
    wide = min(x.width * 0.86, _WIDEST)
    for place, one in enumerate(bins):
        body = rect(x(place) - x.width / 2, plot.top, x.width, plot.height, "hit ground")
        for share, across, look in zip((one.reference, one.current), (wide, wide * 0.5), _PAIR, strict=True):
            body += rect(x(place) - across / 2, y(share), across, plot.bottom - y(share), look)
        shown = f"{names[0]} {value_text(one.reference, SHARE)}, {names[1]} {value_text(one.current, SHARE)}"
        parts.append(linked(body, one.title or f"{one.name}: {shown}", one.href))
    return drawing(width, height, label, parts)
