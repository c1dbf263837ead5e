"""Values as dots: one against another, or how long runs took, each a link to what it stands for.

Of more than a thousand dots there is one for each spot of three pixels, and they are no links: nobody can point at
one of them, and the picture stays small.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from itertools import islice

from trikk.charts.drawing.axes import (
    LINE,
    Plot,
    Sample,
    axis_height,
    heading,
    level_axis,
    line_sample,
    room_for,
    ticks_fitting,
    upright_axis,
)
from trikk.charts.drawing.local_ticks import Times
from trikk.charts.drawing.marks import (
    Place,
    Svg,
    circle,
    drawing,
    linked,
    moved,
    outline,
    path,
    spot,
    text,
    thinned,
)
from trikk.charts.drawing.scales import SECONDS, Linear, Log, finite, is_wide, median, scale_over
from trikk.charts.state_icons import known_state, state_sign

MOST_LINKS = 1000
"""Of more dots than these none is a link."""
_SPOT = 3
_RUNS = 15  # over which the median of durations is taken: a new pace shows after a week of days


@dataclass(frozen=True, slots=True)
class Dot:
    """A dot: where, what it is, where it leads.

    Attributes:
        x, y: values; x in seconds since 1970 with `Dots.zone`.
        state: of a run or step; "" for none. What did not succeed is drawn as its sign.
        role: its colour, if it has no state.
        href: where it leads.
        title: what is shown where one points at it.
    """

    x: float
    y: float
    state: str = ""
    role: str = "series-1"
    href: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Dots:
    """What a chart of dots shows.

    Attributes:
        label: the picture in words.
        dots: in any order; the last lies above the others.
        title: stands above the picture.
        x_title, y_title: what the axes are of.
        x_unit, y_unit: as of `Lines.unit`; other texts belong into the titles.
        x_log, y_log: whether an axis is logarithmic.
        y_zero: whether zero is on the upright axis.
        zone: of the moments, if `x` is one.
        line: places of a line among the dots, in order.
        line_name: what it is.
    """

    label: str
    dots: Sequence[Dot] = ()
    title: str = ""
    x_title: str = ""
    y_title: str = ""
    x_unit: str = ""
    y_unit: str = ""
    x_log: bool = False
    y_log: bool = False
    y_zero: bool = False
    zone: tzinfo | None = None
    line: Sequence[Place] = ()
    line_name: str = ""


def dot_chart(dots: Dots, *, width: float = 720, height: float = 260) -> Svg:
    """Values against values, or against time.

    Args:
        dots: what it shows.
        width: in pixels.
        height: in pixels.
    """
    known = [dot for dot in dots.dots if finite(dot.x) is not None and finite(dot.y) is not None]
    dots = replace(dots, dots=known)
    values = [dot.y for dot in known]
    parts, top = heading(dots.title, list(_samples(dots)), width)
    rough = scale_over(values, height, 0, zero=dots.y_zero, log=dots.y_log, unit=dots.y_unit)
    left = room_for(ticks_fitting(rough, height - 50))
    x = _x_scale(dots, left + 6, width - 8)
    x_ticks = x.ticks(max(2, int((width - left) / 64)))
    y_title = ", ".join(filter(None, [dots.y_title, "logarithmic" * isinstance(rough, Log)]))
    bottom = height - axis_height(x_ticks) - LINE * bool(dots.x_title)
    plot = Plot(left, top + (LINE if y_title else 4), width - 4, bottom)
    y = scale_over(values, plot.bottom, plot.top, zero=dots.y_zero, log=dots.y_log, unit=dots.y_unit)
    if not dots.dots:
        parts.append(
            text("no values", (left + plot.width / 2, top + plot.height / 2), "text soft", anchor="middle")
        )
    else:
        parts += upright_axis(ticks_fitting(y, plot.height), y, plot)
    parts += level_axis(x_ticks, x, plot)
    if y_title:
        parts.append(text(y_title, (0, plot.top - 5), "small soft"))
    if dots.x_title:
        x_title = ", ".join(filter(None, [dots.x_title, "logarithmic" * isinstance(x, Log)]))
        parts.append(text(x_title, (plot.right, height - 3), "small soft", anchor="end"))
    if dots.line:
        parts.append(path(outline(thinned([(x(at), y(value)) for at, value in dots.line])), "line baseline"))
    parts += _marks(dots.dots, x, y)
    return drawing(width, height, dots.label, parts)


def duration_chart(
    runs: Sequence[Dot], label: str, *, zone: tzinfo, title: str = "", width: float = 720, height: float = 200
) -> Svg:
    """How long runs or steps took over time, with the median of those that succeeded lately.

    Args:
        runs: in order of their starts: `x` is the start, `y` are seconds.
        label: the picture in words.
        zone: in which the starts are shown.
        title: stands above the picture.
        width: in pixels.
        height: in pixels.
    """
    succeeded = [run for run in runs if run.state in ("", "succeeded")]
    line = [
        (run.x, median(earlier.y for earlier in islice(succeeded, max(0, i + 1 - _RUNS), i + 1)))
        for i, run in enumerate(succeeded)
    ]
    wide = is_wide(run.y for run in runs)
    chart = Dots(
        label,
        runs,
        title,
        y_unit=SECONDS,
        y_log=wide,
        y_zero=not wide,
        zone=zone,
        line=line if len(line) > 1 else (),
        line_name=f"median of the last {_RUNS}",
    )
    return dot_chart(chart, width=width, height=height)


def _x_scale(dots: Dots, start: float, end: float) -> Linear | Log | Times:
    places = [dot.x for dot in dots.dots]
    if dots.zone is not None:
        return Times(min(places, default=0.0), max(places, default=1.0), start, end, dots.zone)
    return scale_over(places, start, end, log=dots.x_log, unit=dots.x_unit, room=0.03)


def _samples(dots: Dots) -> Iterator[Sample]:
    if dots.line:
        yield line_sample("line baseline", dots.line_name)
    for state in dict.fromkeys(known_state(dot.state) for dot in dots.dots if dot.state):
        yield Sample(moved(_form(state, "", (0, 0)), (8, 0)), state)


def _marks(dots: Sequence[Dot], x: Linear | Log | Times, y: Linear | Log) -> Iterator[str]:
    if len(dots) <= MOST_LINKS:
        for dot in dots:
            yield linked(_form(dot.state, dot.role, (x(dot.x), y(dot.y))), dot.title, dot.href)
        return
    spots: dict[str, dict[tuple[int, int], None]] = defaultdict(dict)
    for dot in dots:
        role = known_state(dot.state) if dot.state else dot.role
        spots[role][int(x(dot.x)) // _SPOT, int(y(dot.y)) // _SPOT] = None
    for role, places in spots.items():
        yield path("".join(f"M{spot((a * _SPOT + 1, b * _SPOT + 1))}h0" for a, b in places), f"specks {role}")


def _form(state: str, role: str, place: Place) -> str:
    if not state or state == "succeeded":
        return circle(place, 3, f"fill {state or role}")
    return state_sign(state, place, 8)
