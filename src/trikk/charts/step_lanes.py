"""The course of a run: its steps' attempts as bars over time, with their phases told apart.

Phases differ in height as well as in colour: waiting is a thin line, loading and storing are low, working is high.
How an attempt ended is a sign after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trikk.charts.drawing.axes import LINE, Plot, box_sample, heading, level_axis
from trikk.charts.drawing.glyph_widths import fitted, text_width
from trikk.charts.drawing.marks import Svg, drawing, linked, rect, segment, text
from trikk.charts.drawing.scales import SECONDS, Linear
from trikk.charts.state_icons import known_state, state_sign

_ROW, _MOST_NAME, _SIGN = 22.0, 0.3, 18.0
_HEIGHTS = {"waiting": 3.0, "loading": 8.0, "working": 14.0, "storing": 8.0}


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of an attempt: "waiting", "loading", "working" or "storing"; seconds since the run's start."""

    kind: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a step: its phases in order, its state, where it leads, what it is."""

    phases: Sequence[Phase]
    state: str
    href: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class StepLane:
    """A step and its attempts in order."""

    name: str
    attempts: Sequence[Attempt]
    href: str = ""


def step_lanes(lanes: Sequence[StepLane], label: str, *, end: float | None = None, width: float = 720) -> Svg:
    """The attempts of a run's steps over time, one row for each step, as high as there are rows.

    Args:
        lanes: in order from above.
        label: the picture in words.
        end: seconds since the run's start at which the picture ends; its last phase's end if None.
        width: in pixels.
    """
    phases = [phase for lane in lanes for attempt in lane.attempts for phase in attempt.phases]
    last = max([end or 0.0, *(phase.end for phase in phases)]) or 1.0
    kinds = {phase.kind for phase in phases}
    parts, top = heading("", [box_sample(_look(kind), kind) for kind in _HEIGHTS if kind in kinds], width)
    left = min(max((text_width(lane.name) for lane in lanes), default=0.0) + 10, width * _MOST_NAME)
    plot = Plot(left, top, width - 4, top + _ROW * max(len(lanes), 1))
    x = Linear(0.0, last, plot.left, plot.right - _SIGN, SECONDS)
    parts += level_axis(x.ticks(max(2, int(plot.width / 70))), x, plot, lines=True)
    for row, lane in enumerate(lanes):
        middle = plot.top + _ROW * (row + 0.5)
        shown = fitted(lane.name, left - 8)
        name = text(shown, (0, middle + 4), "text ink", whole=lane.name if shown != lane.name else "")
        parts.append(linked(name, "", lane.href))
        parts += [_attempt(attempt, x, middle, lane.name) for attempt in lane.attempts]
    return drawing(width, plot.bottom + LINE + 4, label, parts)


def _attempt(attempt: Attempt, x: Linear, middle: float, name: str) -> str:
    if not attempt.phases:
        return ""
    first, last = x(attempt.phases[0].start), x(attempt.phases[-1].end)
    body = rect(first, middle - _ROW / 2, max(last - first, 4) + 14, _ROW, "hit ground")
    for phase in attempt.phases:
        high = _HEIGHTS.get(phase.kind, 8.0)
        wide = max(x(phase.end) - x(phase.start), 0.5)
        body += rect(x(phase.start), middle - high / 2, wide, high, _look(phase.kind))
    if known_state(attempt.state) == "failed":
        body += segment((last, middle - _ROW / 2 + 2), (last, middle + _ROW / 2 - 2), "line failed")
    body += state_sign(attempt.state, (last + 9, middle), 9)
    return linked(body, attempt.title or f"{name}: {attempt.state}", attempt.href)


def _look(kind: str) -> str:
    return f"fill {kind if kind in _HEIGHTS else 'working'}"
