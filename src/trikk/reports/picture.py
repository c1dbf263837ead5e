"""A period's picture: the main metric of each window beside the baseline, and what each window is worth.

The same figures give the same bytes: no user's settings, no fonts but the one that comes with matplotlib, no time.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from trikk.core.errors import MissingExtra
from trikk.reports import words
from trikk.reports.content import Point, Section

BLUE, GREY, RED, INK, FAINT = "#1d5fa8", "#7b8794", "#b42318", "#1f2933", "#d9dee4"
BANDS = {
    "pending": ("#eef1f5", "labels yet to come"),
    "overdue": ("#fbe3e0", "labels overdue"),
    "missing": ("#f7f8fa", "not evaluated"),
}
_SIZE, _DPI = (8.0, 2.9), 160
_MOST_TICKS = 16


def draw(section: Section) -> bytes:
    """The picture of a monitor's period as PNG, 1280 x 464 pixels.

    Raises:
        MissingExtra: if matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("a report's picture", "reports") from None
    with mpl.rc_context():
        mpl.rcdefaults()
        figure = Figure(figsize=_SIZE, dpi=_DPI, facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        _fill(axes, section)
        data = io.BytesIO()
        figure.savefig(data, format="png", metadata={"Software": None})
        return data.getvalue()


def described(section: Section) -> str:
    """The picture in words, for those who do not see it."""
    values = [(p.value, p.label) for p in section.points if p.value is not None]
    name, title = section.metric.name, section.metric.title
    if not values:
        return f"{title} of {section.monitor}: no {section.window} has labelled cases."
    low, high = min(values), max(values)
    told = (
        f"{title} of {section.monitor} by {section.window}: from {words.number(values[0][0], name)} on "
        f"{values[0][1]} to {words.number(values[-1][0], name)} on {values[-1][1]}, lowest "
        f"{words.number(low[0], name)} on {low[1]}, highest {words.number(high[0], name)} on {high[1]}."
    )
    return told + (f" The baseline is {section.baseline}." if section.baseline else "")


def _fill(axes: Any, section: Section) -> None:
    points, name = section.points, section.metric.name
    places = range(len(points))
    _bands(axes, points)
    if section.baseline:
        values = [_or_nan(p.baseline) for p in points]
        axes.plot(
            places, values, color=GREY, linewidth=1.4, linestyle=(0, (4, 2)), label=f"baseline {section.baseline}"
        )
    axes.plot(places, [_or_nan(p.value) for p in points], color=BLUE, linewidth=2, label="prediction", zorder=3)
    _marks(axes, points)
    _worst(axes, section)
    axes.set_title(
        f"{section.metric.title} per {section.window}",
        loc="left",
        fontsize=10,
        color=INK,
        fontweight="bold",
        pad=24,
    )
    _frame(axes, points)
    if words.better_of(name) == "lower" and any(p.value is not None for p in points):
        axes.set_ylim(bottom=0)
    if name == "bias":
        axes.axhline(0, color=GREY, linewidth=0.8, zorder=1)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(-0.012, 0.985),
            ncols=6,
            frameon=False,
            fontsize=8,
            labelcolor=INK,
            handlelength=1.8,
            columnspacing=1.4,
            borderaxespad=0.2,
        )


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _bands(axes: Any, points: Sequence[Point]) -> None:
    told = set()
    for place, point in enumerate(points):
        if point.state in BANDS:
            colour, label = BANDS[point.state]
            axes.axvspan(
                place - 0.5,
                place + 0.5,
                facecolor=colour,
                edgecolor=FAINT if point.state == "missing" else colour,
                hatch="////" if point.state == "overdue" else None,
                linewidth=0,
                label=None if point.state in told else label,
                zorder=0,
            )
            told.add(point.state)


def _marks(axes: Any, points: Sequence[Point]) -> None:
    kinds: list[tuple[str, str, dict[str, Any]]] = [
        ("final", "", {"color": BLUE, "s": 16}),
        (
            "partial",
            "some labels missing",
            {"facecolors": "white", "edgecolors": BLUE, "linewidths": 1.4, "s": 26},
        ),
        ("overdue", "", {"facecolors": "white", "edgecolors": RED, "linewidths": 1.4, "s": 26}),
    ]
    for state, label, style in kinds:
        found = [(i, p.value) for i, p in enumerate(points) if p.state == state and p.value is not None]
        if found:
            axes.scatter(*zip(*found, strict=True), zorder=4, label=label or None, **style)
    found = [(i, p.value) for i, p in enumerate(points) if p.restated and p.value is not None]
    if found:
        axes.scatter(*zip(*found, strict=True), zorder=5, color=RED, marker="v", s=34, label="restated")


def _worst(axes: Any, section: Section) -> None:
    for place, point in enumerate(section.points):
        if point.label == section.worst and point.value is not None:
            right = place > len(section.points) / 2
            axes.annotate(
                words.number(point.value, section.metric.name),
                (place, point.value),
                xytext=(-7 if right else 7, 3),
                textcoords="offset points",
                ha="right" if right else "left",
                fontsize=9,
                fontweight="bold",
                color=INK,
            )


def _frame(axes: Any, points: Sequence[Point]) -> None:
    step = max(1, -(-len(points) // _MOST_TICKS))
    places = range(0, len(points), step)
    axes.set_xticks(list(places), [points[i].tick for i in places])
    axes.set_xlim(-0.6, max(len(points) - 0.4, 0.6))
    axes.tick_params(length=0, labelsize=8, labelcolor=INK)
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.margins(y=0.14)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
