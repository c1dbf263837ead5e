"""Values as dots, one against another, each a link to what it stands for.

Of more than a thousand dots there is one for each spot of three pixels, and they are no links: nobody can point at
one of them, and the picture stays small.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trikk.charts.drawing.axes import (
    LINE,
    Plot,
    Sample,
    axis_height,
    heading,
    level_axis,
    room_for,
    ticks_fitting,
    upright_axis,
)
from trikk.charts.drawing.marks import Place, Svg, circle, drawing, linked, moved, path, spot, text
from trikk.charts.drawing.scales import Scale, finite, scale_over
from trikk.charts.state_icons import known_state, state_sign

MOST_LINKS = 1000
"""Of more dots than these none is a link."""
_SPOT = 3


@dataclass(frozen=True, slots=True)
class Dot:
    """A dot: where, what it is, where it leads.

    Attributes:
        x, y: values.
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


def dot_chart(
    dots: Sequence[Dot],
    label: str,
    *,
    title: str = "",
    x_title: str = "",
    y_title: str = "",
    width: float = 720,
    height: float = 260,
) -> Svg:
    """Values against values.

    Args:
        dots: in any order; the last lies above the others.
        label: the picture in words.
        title: stands above the picture.
        x_title: what the level axis is of.
        y_title: what the upright axis is of.
        width: in pixels.
        height: in pixels.
    """
    dots = [dot for dot in dots if finite(dot.x) is not None and finite(dot.y) is not None]
    values = [dot.y for dot in dots]
    parts, top = heading(title, list(_samples(dots)), width)
    left = room_for(ticks_fitting(scale_over(values, height, 0), height - 50))
    x = scale_over([dot.x for dot in dots], left + 6, width - 8, room=0.03)
    x_ticks = x.ticks(max(2, int((width - left) / 64)))
    bottom = height - axis_height(x_ticks) - LINE * bool(x_title)
    plot = Plot(left, top + (LINE if y_title else 4), width - 4, bottom)
    y = scale_over(values, plot.bottom, plot.top)
    if dots:
        parts += upright_axis(ticks_fitting(y, plot.height), y, plot)
    else:
        middle = (left + plot.width / 2, top + plot.height / 2)
        parts.append(text("no values", middle, "text soft", anchor="middle"))
    parts += level_axis(x_ticks, x, plot)
    parts.append(text(y_title, (0, plot.top - 5), "small soft"))
    parts.append(text(x_title, (plot.right, height - 3), "small soft", anchor="end"))
    parts += _marks(dots, x, y)
    return drawing(width, height, label, parts)


def _samples(dots: Sequence[Dot]) -> Iterator[Sample]:
    for state in dict.fromkeys(known_state(dot.state) for dot in dots if dot.state):
        yield Sample(moved(_form(state, "", (0, 0)), (8, 0)), state)


def _marks(dots: Sequence[Dot], x: Scale, y: Scale) -> Iterator[str]:
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
