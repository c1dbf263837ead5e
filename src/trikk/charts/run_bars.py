"""The small pictures of overviews: the last runs as bars, and a figure's course as a line without axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trikk.charts.drawing.marks import (
    Svg,
    circle,
    drawing,
    linked,
    outline,
    path,
    rect,
    segment,
    stretches,
    thinned,
)
from trikk.charts.drawing.scales import finite, scale_over
from trikk.charts.state_icons import bar_of

_LEAST = 5.0  # a bar is at least so high, so that its state can be seen
_WIDEST, _GAP = 14.0, 1.5


@dataclass(frozen=True, slots=True)
class RunBar:
    """A run: how long it took or has been taking (None: unknown yet), its state, where it leads, what it is."""

    seconds: float | None
    state: str
    href: str = ""
    title: str = ""


def run_bars(runs: Sequence[RunBar], label: str, *, width: float = 240, height: float = 36) -> Svg:
    """Runs as bars from the oldest to the newest, as high as they took long; colour and form say the state.

    Args:
        runs: in order; the newest is at the right.
        label: the picture in words.
        width: in pixels; bars get thinner the more there are.
        height: in pixels.
    """
    longest = max((run.seconds or 0.0 for run in runs), default=0.0) or 1.0
    each = min(width / max(len(runs), 1), _WIDEST)
    gap = min(_GAP, each / 3)
    first = width - each * len(runs)
    parts = [segment((0, height - 0.5), (width, height - 0.5), "thin grid")]
    for place, run in enumerate(runs):
        left = first + place * each
        high = _LEAST + (height - 2 - _LEAST) * min((run.seconds or 0.0) / longest, 1.0)
        shape = bar_of(run.state, left + gap / 2, height - 1 - high, each - gap, height - 1)
        # the whole column can be pointed at, however short its bar is
        parts.append(linked(rect(left, 0, each, height, "hit ground") + shape, run.title, run.href))
    return drawing(width, height, label, parts)


def sparkline(
    values: Sequence[float | None],
    label: str,
    *,
    baseline: Sequence[float | None] = (),
    role: str = "prediction",
    href: str = "",
    title: str = "",
    width: float = 120,
    height: float = 28,
) -> Svg:
    """A figure's course, its last value as a dot, beside its baseline.

    Args:
        values: in order, at equal distances; None leaves a gap.
        label: the picture in words.
        baseline: of the same moments, in the same order.
        role: what the line means.
        href: where the picture leads.
        title: what is shown where one points at it.
        width: in pixels.
        height: in pixels.
    """
    count = max(len(values), len(baseline), 2)
    y = scale_over([*values, *baseline], height - 4, 4, room=0)
    values, baseline = list(map(finite, values)), list(map(finite, baseline))
    step = (width - 8) / (count - 1)

    def course(numbers: Sequence[float | None]) -> str:
        places = [None if v is None else (4 + i * step, y(v)) for i, v in enumerate(numbers)]
        return "".join(outline(thinned(part)) for part in stretches(places))

    parts = [path(course(baseline), "dashed baseline")] if any(v is not None for v in baseline) else []
    known = [(i, value) for i, value in enumerate(values) if value is not None]
    if known:
        parts.append(path(course(values), f"line {role}"))
        parts.append(circle((4 + known[-1][0] * step, y(known[-1][1])), 2.5, f"fill {role}"))
    hit = rect(0, 0, width, height, "hit ground") if href or title else ""
    return drawing(width, height, label, [linked("".join([hit, *parts]), title, href)])
