"""A period's picture: the main metric of each window beside the baseline, and what each window is worth.

The same figures give the same bytes: no user's settings, no fonts but the one that comes with matplotlib, no time.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from trikk.core.errors import MissingExtra
from trikk.core.text import printable, shorten
from trikk.models.metrics.own_metric import Better
from trikk.monitoring.figures.matrix import Matrix
from trikk.reports.page import words
from trikk.reports.page.page_content import Point, PointState, Section

BLUE, GREY, RED, INK, FAINT = "#1d5fa8", "#7b8794", "#b42318", "#1f2933", "#d9dee4"
CONFUSION = "{}.confusion"
"""What the picture of a monitor's confusion matrix is called; a monitor's name has no dot."""
BANDS = {
    PointState.PENDING: ("#dfe5ec", "pending"),
    PointState.OVERDUE: ("#fbe3e0", "overdue"),
    PointState.MISSING: ("#f4f5f7", "not evaluated"),
}
_SIZE, _DPI = (6.4, 2.6), 200
_MOST_CLASSES, _TABLED = 20, 8  # of more, numbers in cells can't be read; up to 8, in large letters
_CELL, _LONGEST, _SHORT = 0.33, 34, 3
_MOST_TICKS = 16  # a month has 31 days: every other one
_PLACES = (
    ((7, 3), "left", "bottom"),
    ((-7, 3), "right", "bottom"),
    ((0, 7), "center", "bottom"),
    ((7, -3), "left", "top"),
    ((-7, -3), "right", "top"),
    ((0, -7), "center", "top"),
)
_ORDER = ("prediction", "baseline", "partial", "restated")


def draw(section: Section) -> bytes:
    """The picture of a monitor's period as PNG, 1280 x 520 pixels.

    Raises:
        MissingExtra: if matplotlib is not installed.
    """
    return png(lambda figure: _fill(figure.add_subplot(), section), _SIZE)


def png(fill: Callable[[Any], None], size: tuple[float, float]) -> bytes:
    """A picture that a function draws on a figure, as PNG of 200 pixels for each unit of its size.

    Raises:
        MissingExtra: if matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("a picture", "reports") from None
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams["text.parse_math"] = False  # a title is a text, whatever signs of a dollar are in it
        figure = Figure(figsize=size, dpi=_DPI, facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        fill(figure)
        data = io.BytesIO()
        figure.savefig(data, format="png", metadata={"Software": None})
        return data.getvalue()


def draw_confusion(matrix: Matrix) -> bytes:
    """The picture of a confusion matrix as PNG, 1280 pixels wide, coloured by the share of each class.

    Raises:
        MissingExtra: if matplotlib is not installed.
    """
    shown = matrix.bounded(_MOST_CLASSES)
    height = min(6.4, 1.1 + _CELL * len(shown.classes))
    return png(lambda figure: _fill_confusion(figure.add_subplot(), shown), (_SIZE[0], height))


def _fill_confusion(axes: Any, matrix: Matrix) -> None:
    size, labels = len(matrix.classes), matrix.labels()
    shares = [[count / (sum(row) or 1) for count in row] for row in matrix.counts]
    right = [BLUE] * (size - 1) + [GREY if matrix.others else BLUE]  # among the others may be mistakes
    colours = [
        [_shade(share, right[y] if x == y else RED) for x, share in enumerate(row)] for y, row in enumerate(shares)
    ]
    axes.imshow(colours, aspect="auto")
    font = 8.5 if size <= _TABLED else 6.5 if size <= _TABLED * 2 else 5.5
    for down, row in enumerate(matrix.counts):
        for across, count in enumerate(row):
            if count:
                colour = "white" if shares[down][across] > 0.55 else INK
                strong = "bold" if down == across else "normal"
                axes.text(
                    across,
                    down,
                    f"{count:,}",
                    ha="center",
                    va="center",
                    fontsize=font,
                    color=colour,
                    weight=strong,
                ).set_in_layout(False)
    axes.set_xticks(range(size), [printable(over) for _, over in labels])
    axes.set_yticks(range(size), [shorten(printable(before), _LONGEST) for before, _ in labels])
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=font, labelcolor=INK)
    if size > _TABLED and max(len(over) for _, over in labels) > _SHORT:
        axes.tick_params(axis="x", rotation=45)
    axes.set_xlabel("predicted", fontsize=8.5, color=INK, loc="left")
    axes.xaxis.set_label_position("top")
    axes.set_ylabel("truth", fontsize=8.5, color=INK, loc="top")
    for side in axes.spines.values():
        side.set_color(FAINT)


def _shade(share: float, colour: str) -> list[float]:
    """A colour between white and blue for what is right, red for mistakes; the stronger, the larger the share."""
    from matplotlib.colors import to_rgb

    return [1 - share * (1 - part) for part in to_rgb(colour)]


def described(section: Section) -> str:
    """The picture in words, for those who do not see it."""
    values = [(p.value, p.label) for p in section.points if p.value is not None]
    title, whose = section.metric.title, section.title or section.monitor
    if not values:
        return f"{title} of {whose}: no {section.window} has labelled cases."
    low, high = min(values), max(values)
    first, last, least, most = (
        f"{words.number(value, section.metric.name, section.metric.unit)} on {label}"
        for value, label in (values[0], values[-1], low, high)
    )
    sentence = f"{title} of {whose} by {section.window}: from {first} to {last}, lowest {least}, highest {most}."
    return sentence + (f" The baseline is {section.baseline}." if section.baseline else "")


def _fill(axes: Any, section: Section) -> None:
    points, metric = section.points, section.metric
    places = range(len(points))
    _bands(axes, points)
    if section.baseline:
        values = [_or_nan(p.baseline) for p in points]
        axes.plot(places, values, color=GREY, linewidth=1.4, linestyle=(0, (4, 2)), label="baseline")
        axes.plot(*alone(places, [p.baseline for p in points]), color=GREY, linestyle="", marker="_")
    axes.plot(places, [_or_nan(p.value) for p in points], color=BLUE, linewidth=2, label="prediction", zorder=3)
    _marks(axes, points)
    axes.set_title(
        f"{words.headed(section.metric)} per {section.window}",
        loc="left",
        fontsize=9.5,
        color=INK,
        fontweight="bold",
        pad=21,
    )
    _frame(axes, points)
    if metric.better == Better.LOWER and any(p.value is not None for p in points):
        axes.set_ylim(bottom=0)
    if metric.better == Better.ZERO:
        axes.axhline(0, color=GREY, linewidth=0.8, zorder=1)
    _legend(axes)
    if any(p.value is not None or p.baseline is not None for p in points):
        _worst(axes, section)
    else:
        axes.set_yticks([])


def _legend(axes: Any) -> None:
    """Under the title, lines before bands."""
    handles, names = axes.get_legend_handles_labels()
    by_label = dict(zip(names, handles, strict=True))

    def place(label: str) -> int:
        return next((i for i, start in enumerate(_ORDER) if label.startswith(start)), len(_ORDER))

    labels = sorted(by_label, key=place)
    legend = axes.legend(
        [by_label[label] for label in labels],
        labels,
        loc="lower left",
        bbox_to_anchor=(-0.015, 0.985),
        ncols=len(_ORDER) + len(BANDS),
        frameon=False,
        fontsize=7.5,
        labelcolor=INK,
        handlelength=1.5,
        handletextpad=0.5,
        columnspacing=1.2,
        borderaxespad=0.2,
    )
    legend.set_in_layout(False)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _bands(axes: Any, points: Sequence[Point]) -> None:
    labelled = set()
    for place, point in enumerate(points):
        if point.state in BANDS:
            colour, label = BANDS[point.state]
            axes.axvspan(
                place - 0.5,
                place + 0.5,
                facecolor=colour,
                edgecolor={PointState.MISSING: "#dfe3e8", PointState.OVERDUE: "#f0b8b1"}.get(point.state, colour),
                hatch={PointState.MISSING: "....", PointState.OVERDUE: "////"}.get(point.state),
                linewidth=0,
                label=None if point.state in labelled else label,
                zorder=0,
            )
            labelled.add(point.state)


def _marks(axes: Any, points: Sequence[Point]) -> None:
    kinds: list[tuple[PointState, str, dict[str, Any]]] = [
        (PointState.FINAL, "", {"color": BLUE, "s": 16}),
        (
            PointState.PARTIAL,
            "partial",
            {"facecolors": "white", "edgecolors": BLUE, "linewidths": 1.4, "s": 26},
        ),
        (PointState.OVERDUE, "", {"facecolors": "white", "edgecolors": RED, "linewidths": 1.4, "s": 26}),
    ]
    for state, label, style in kinds:
        marks = [(i, p.value) for i, p in enumerate(points) if p.state == state and p.value is not None]
        if marks:
            axes.scatter(*zip(*marks, strict=True), zorder=4, label=label or None, **style)
    marks = [(i, p.value) for i, p in enumerate(points) if p.restated and p.value is not None]
    if marks:
        axes.scatter(*zip(*marks, strict=True), zorder=5, color=RED, marker="v", s=34, label="restated")


def _worst(axes: Any, section: Section) -> None:
    """Write the worst figure beside its point, where it is within the axes and hides no line."""
    from matplotlib.patheffects import withStroke

    worst_points = [
        (i, p.value) for i, p in enumerate(section.points) if p.label == section.worst and p.value is not None
    ]
    if not worst_points:
        return
    axes.figure.draw_without_rendering()  # so that it is known where everything is
    for offset, aside, upright in _PLACES:
        label = axes.annotate(
            words.number(worst_points[0][1], section.metric.name),
            worst_points[0],
            xytext=offset,
            textcoords="offset points",
            ha=aside,
            va=upright,
            fontsize=9,
            fontweight="bold",
            color=INK,
            path_effects=[withStroke(linewidth=3, foreground="white")],
            zorder=6,
        )
        if _is_free(axes, label.get_window_extent()):
            return
        label.remove()
    axes.add_artist(label)


def _is_free(axes: Any, box: Any) -> bool:
    """Whether a box on the canvas is within the axes, and no line goes through it."""
    from matplotlib.path import Path

    inside = axes.bbox
    if box.x0 < inside.x0 or box.x1 > inside.x1 or box.y0 < inside.y0 or box.y1 > inside.y1:
        return False
    for line in axes.get_lines():
        places = line.get_transform().transform(line.get_xydata())
        pieces = ([at for at in pair if not math.isnan(at[1])] for pair in pairwise(places))
        if any(piece and Path([piece[0], piece[-1]]).intersects_bbox(box, filled=False) for piece in pieces):
            return False
    return True


def _frame(axes: Any, points: Sequence[Point]) -> None:
    step = max(1, -(-len(points) // _MOST_TICKS))
    places = range(0, len(points), step)
    axes.set_xticks(list(places), [points[i].tick for i in places])
    axes.set_xlim(-0.6, max(len(points) - 0.4, 0.6))
    axes.margins(y=0.14)
    plain(axes)


def alone(places: Sequence[Any], values: Sequence[float | None]) -> tuple[list[Any], list[float]]:
    """The points with nothing known on either side: a line does not show them."""
    around = [None, *values, None]
    points = [
        (place, value)
        for place, value, before, after in zip(places, values, around, around[2:], strict=False)
        if value is not None and before is None and after is None
    ]
    return [place for place, _ in points], [value for _, value in points]


def plain(axes: Any) -> None:
    """Axes without a frame: a base line, and faint lines for the values."""
    axes.tick_params(length=0, labelsize=8, labelcolor=INK)
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
