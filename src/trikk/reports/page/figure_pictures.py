"""A period's pictures: the main metric of each window beside the baseline, and which class was taken for which."""

from __future__ import annotations

from trikk.charts import Cell, HeatMap, Lines, Point, Series, Svg, Window, heat_map, line_chart
from trikk.core.text import counted, shorten
from trikk.models.metrics.own_metric import Better
from trikk.monitoring.figures.matrix import Matrix
from trikk.reports.page import words
from trikk.reports.page.page_content import Point as WindowPoint
from trikk.reports.page.page_content import PointState, Section

CONFUSION = "{}.confusion"
"""What the picture of a monitor's confusion matrix is called; a monitor's name has no dot."""
WIDTH = 640
_NOT_FINAL = (PointState.PENDING, PointState.OVERDUE, PointState.MISSING)
_MOST_CLASSES = 20  # of more, numbers in cells can't be read
_HEIGHTS = {4: 46, 8: 36, _MOST_CLASSES: 27}  # of a row, by how many classes there are
_LONGEST = 34


def drawn(section: Section) -> Svg:
    """The picture of a monitor's period, 640 pixels wide."""
    metric, points = section.metric, section.points
    series = [Series("prediction", [_point(section, place, p) for place, p in enumerate(points)])]
    if section.baseline:
        baseline = [Point(place, p.baseline) for place, p in enumerate(points)]
        series.append(Series("baseline", baseline, "baseline", dashed=True))
    chart = Lines(
        described(section),
        series,
        title=f"{words.headed(metric)} per {section.window}",
        unit="%" if words.is_share(metric.name) else "",
        zero=metric.better in (Better.LOWER, Better.ZERO),
        names=[p.tick for p in points],
        windows=[
            Window(place, place, p.state, title=f"{words.window_text(p.label)}: {p.state}")
            for place, p in enumerate(points)
            if p.state in _NOT_FINAL
        ],
    )
    return line_chart(chart, width=WIDTH, height=260)


def _point(section: Section, place: int, point: WindowPoint) -> Point:
    state = "restated" if point.restated else point.state
    shown = words.number(point.value, section.metric.name, section.metric.unit)
    title = f"{words.window_text(point.label)}: {shown}, {counted(point.labelled, 'case')}, {state}"
    worst = point.label == section.worst and point.value is not None
    note = words.number(point.value, section.metric.name) if worst else ""
    return Point(place, point.value, state=state, title=title, note=note)


def drawn_confusion(matrix: Matrix) -> Svg:
    """The picture of a confusion matrix, 640 pixels wide, coloured by the share of each class."""
    shown = matrix.bounded(_MOST_CLASSES)
    size, labels = len(shown.classes), shown.labels()
    cells = []
    for down, row in enumerate(shown.counts):
        total = sum(row) or 1
        # what is one of the others and was taken for another of them may be a mistake
        right = "some" if shown.others and down == size - 1 else "heat"
        cells.append(
            [
                Cell(
                    count / total,
                    f"{count:,}" if count else "",
                    "some" if not count else right if across == down else "miss",
                    strong=across == down,
                    title=f"{shown.classes[down]} taken for {shown.classes[across]}: {count:,}",
                )
                for across, count in enumerate(row)
            ]
        )
    heat = HeatMap(
        words.confused(matrix),
        [shorten(before, _LONGEST) for before, _ in labels],
        [over for _, over in labels],
        cells,
        row_title="truth",
        column_title="predicted",
        span=(0.0, 1.0),
    )
    return heat_map(heat, width=WIDTH, cell_height=next(high for most, high in _HEIGHTS.items() if size <= most))


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
