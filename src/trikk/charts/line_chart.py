"""Figures over time: lines with their baseline, interval and thresholds, what is not final yet, and what happened.

A line is drawn thinned: of each column of pixels its first, lowest, highest and last point, so that it looks the
same and a picture of a hundred thousand points is as small as one of a thousand. Points are marked one by one, and
are links, up to one for each three pixels; of more only those are that are not final or have a note.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from functools import cached_property

from trikk.charts.drawing.axes import (
    LINE,
    Plot,
    Sample,
    axis_height,
    box_sample,
    heading,
    level_axis,
    line_sample,
    room_for,
    ticks_fitting,
    upright_axis,
)
from trikk.charts.drawing.glyph_widths import fitted, text_width
from trikk.charts.drawing.local_ticks import Times
from trikk.charts.drawing.marks import (
    Place,
    Svg,
    circle,
    drawing,
    linked,
    outline,
    path,
    rect,
    segment,
    stretches,
    text,
    thinned,
)
from trikk.charts.drawing.point_marks import LOOKS, crosses, point_mark, stretch_mark
from trikk.charts.drawing.scales import Band, Linear, Log, Tick, finite, scale_over

_FEW, _DOTTED = 3.0, 7.0  # pixels for each point, if points are to be pointed at, and if they have a dot
_TELLING = 8  # marks of a line that has too many points to mark each, so that its form is seen
_LANE, _MOST_LANE_TEXT = 20.0, 0.34
_NAME_ROWS = 2  # of the names of events
_PLACES = (
    (6, -5, "start"), (-6, -5, "end"), (0, -8, "middle"), (6, 13, "start"), (-6, 13, "end"), (0, 17, "middle"),
)  # fmt: skip
"""Where a note may stand beside its point: how far to the right and down, and which end of it is there."""
_WINDOW_NAMES = {"pending": "pending", "overdue": "overdue", "missing": "not evaluated"}


@dataclass(frozen=True, slots=True)
class Point:
    """A figure of one moment or window.

    Attributes:
        at: seconds since 1970; with `Lines.names` the number of its place.
        value: None leaves a gap.
        low, high: ends of its interval, if it has one.
        state: "final", "partial" (some labels are in), "pending", "overdue" or "restated".
        href: where it leads.
        title: what is shown where one points at it.
        note: is written beside it.
    """

    at: float
    value: float | None
    low: float | None = None
    high: float | None = None
    state: str = "final"
    href: str = ""
    title: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """A line: its name in the legend, its points in order, what it means, and whether it is dashed."""

    name: str
    points: Sequence[Point]
    role: str = "prediction"
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Threshold:
    """A value at which somebody is told, drawn across."""

    value: float
    name: str
    role: str = "threshold"


@dataclass(frozen=True, slots=True)
class Event:
    """What happened at a moment, drawn as an upright line with its name above."""

    at: float
    name: str
    href: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """A span whose figures are not final: "pending", "overdue" or "missing"."""

    start: float
    end: float
    state: str
    href: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when something lasted, in a lane below; `role` is a severity or a state."""

    start: float
    end: float
    role: str = "alarm"
    href: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """A row of spans below the figures."""

    name: str
    spans: Sequence[Span]


@dataclass(frozen=True, slots=True)
class Lines:
    """What a line chart shows.

    Attributes:
        label: the picture in words, for those who do not see it.
        series: its lines; the first is drawn last, above the others.
        title: stands above the picture; "" if the page says it.
        unit: how values are written: "s", "%" (of one), "B", or a text that stands above the axis.
        zero: whether zero is on the scale.
        log: whether the scale is logarithmic.
        names: of places (categories, windows) if the figures are not of moments.
        zone: of the moments.
        span: first and last moment; those of everything drawn if None.
        thresholds, windows, events, lanes: as they are described.
        events_name: stands before the names of events.
    """

    label: str
    series: Sequence[Series] = ()
    title: str = ""
    unit: str = ""
    zero: bool = False
    log: bool = False
    names: Sequence[str] = ()
    zone: tzinfo = UTC
    span: tuple[float, float] | None = None
    thresholds: Sequence[Threshold] = ()
    windows: Sequence[Window] = ()
    events: Sequence[Event] = ()
    lanes: Sequence[Lane] = ()
    events_name: str = ""


def line_chart(lines: Lines, *, width: float = 720, height: float = 220) -> Svg:
    """Figures over time.

    Args:
        lines: what it shows.
        width: in pixels.
        height: of the part with lines, with title, legend and axis; lanes come below it.
    """
    series = [replace(each, points=[_drawable(point) for point in each.points]) for each in lines.series]
    thresholds = [threshold for threshold in lines.thresholds if finite(threshold.value) is not None]
    return _Picture(replace(lines, series=series, thresholds=thresholds), width, height).draw()


def _drawable(point: Point) -> Point:
    """The point, with a gap for what is no finite number."""
    numbers = (point.value, point.low, point.high)
    shown = tuple(map(finite, numbers))
    return point if shown == numbers else replace(point, value=shown[0], low=shown[1], high=shown[2])


@dataclass
class _Picture:
    lines: Lines
    width: float
    height: float
    parts: list[str] = field(default_factory=list)

    def draw(self) -> Svg:
        self.parts += self.head[0]
        self.parts += [self._window(window) for window in self.lines.windows]
        if self.values:
            self.parts += upright_axis(self.ticks, self.y, self.plot)
            if self.y_title:
                start = max(self.plot.left - 6 - text_width(self.y_title, 10), 0)
                self.parts.append(text(self.y_title, (start, self.plot.top - 5), "small soft"))
        else:
            middle = (self.plot.left + self.plot.width / 2, self.plot.top + self.plot.height / 2 + 4)
            self.parts.append(text("no values", middle, "text soft", anchor="middle"))
        self.parts += self._events()
        self.parts += self._lanes()
        self.parts += level_axis(self.x_ticks, self.x, self.below)
        for series in reversed(self.lines.series):
            self.parts += self._line(series)
        self.parts += [self._threshold(threshold) for threshold in self.lines.thresholds]
        for series in reversed(self.lines.series):
            self.parts += self._points(series)
        return drawing(self.width, self.below.bottom + axis_height(self.x_ticks), self.lines.label, self.parts)

    @cached_property
    def values(self) -> list[float]:
        points = [p for series in self.lines.series for p in series.points]
        numbers = [number for p in points for number in (p.value, p.low, p.high) if number is not None]
        return numbers + [t.value for t in self.lines.thresholds] * bool(numbers)

    @cached_property
    def head(self) -> tuple[list[str], float]:
        title = self.lines.title + ", logarithmic" * (self._is_log and bool(self.lines.title))
        return heading(title, list(self._samples()), self.width)

    @property
    def y_title(self) -> str:
        unit = "" if self.lines.unit in ("s", "%", "B") else self.lines.unit
        return ", ".join(filter(None, [unit, "logarithmic" * (self._is_log and not self.lines.title)]))

    @property
    def _is_log(self) -> bool:
        return self.lines.log and any(value > 0 for value in self.values)

    @cached_property
    def plot(self) -> Plot:
        """The area of the lines."""
        top = self.head[1] + 6 + LINE * bool(self.y_title) + LINE * self._name_rows
        bottom = self.height - axis_height(self.x_ticks) if not self.lines.lanes else self.height - 8
        return Plot(self.left, top, self.width - 4, max(bottom, top + 40))

    @property
    def _name_rows(self) -> int:
        return max((1 + (row or 0) for _, _, row in self._named), default=0)

    @property
    def above(self) -> float:
        """Where the lines of events begin, with their names above."""
        return self.plot.top - LINE * bool(self.y_title and self.lines.events)

    @cached_property
    def left(self) -> float:
        lanes = max((text_width(lane.name, 10) + 8 for lane in self.lines.lanes), default=0.0)
        rough = ticks_fitting(self._y(self.height, 0), self.height - 50)
        return max(room_for(rough) if self.values else 8, min(lanes, self.width * _MOST_LANE_TEXT))

    @cached_property
    def below(self) -> Plot:
        """The area of lines and lanes together, under which the axis is."""
        lanes = len(self.lines.lanes) * _LANE + 8 if self.lines.lanes else 0
        return Plot(self.plot.left, self.plot.top, self.plot.right, self.plot.bottom + lanes)

    def _y(self, start: float, end: float) -> Linear | Log:
        return scale_over(self.values, start, end, zero=self.lines.zero, log=self.lines.log, unit=self.lines.unit)

    @cached_property
    def y(self) -> Linear | Log:
        return self._y(self.plot.bottom, self.plot.top)

    @cached_property
    def ticks(self) -> list[Tick]:
        return ticks_fitting(self.y, self.plot.height)

    @cached_property
    def x(self) -> Times | Band:
        right = self.width - 4
        if self.lines.names:
            return Band(len(self.lines.names), self.left, right)
        moments = [p.at for series in self.lines.series for p in series.points]
        moments += [edge for window in self.lines.windows for edge in (window.start, window.end)]
        first, last = self.lines.span or (min(moments, default=0.0), max(moments, default=1.0))
        aside = 4 if not self.lines.span else 0  # so that the first and the last dot are whole
        return Times(first, last, self.left + aside, right - aside, self.lines.zone)

    @cached_property
    def x_ticks(self) -> list[Tick]:
        if self.lines.names:
            return [Tick(place, name) for place, name in enumerate(self.lines.names)]
        return self.x.ticks(max(2, int((self.width - self.left) / 56)))

    def _samples(self) -> Iterator[Sample]:
        for series in self.lines.series:
            if any(p.value is not None for p in series.points):
                sample = line_sample(f"{'dashed' if series.dashed else 'line'} {series.role}", series.name)
                form = point_mark("final", (8, 0), series.role, 2.5) if self._is_one_of_many(series) else ""
                yield Sample(sample.mark + form, sample.name)
            if any(p.low is not None for p in series.points):
                yield box_sample(f"veil {series.role}", f"interval of {series.name}")
        states = {p.state for series in self.lines.series for p in series.points if p.value is not None}
        role = self.lines.series[0].role if self.lines.series else "prediction"
        kinds = {window.state for window in self.lines.windows}
        for state in LOOKS:
            if state in states and state not in kinds:
                yield Sample(point_mark(state, (8, 0), role, 2.5), state)
        for kind, name in _WINDOW_NAMES.items():
            if kind in kinds:
                yield Sample(stretch_mark(kind, 0, -4.5, 16, 9), name)

    def _edges(self, start: float, end: float) -> tuple[float, float]:
        """Pixels of a span; of places, the whole of them."""
        aside = self.x.width / 2 if isinstance(self.x, Band) else 0.0
        left = max(self.x(start) - aside, self.plot.left)
        return left, min(self.x(end) + aside, self.plot.right)

    def _window(self, window: Window) -> str:
        left, right = self._edges(window.start, window.end)
        state = window.state if window.state in _WINDOW_NAMES else "missing"
        # a little wider, so that no seam shows between two of a kind
        body = stretch_mark(state, left, self.plot.top, max(right - left, 1.0) + 0.4, self.plot.height)
        return linked(body, window.title, window.href)

    def _line(self, series: Series) -> Iterator[str]:
        x, y = self.x, self.y
        for part in stretches([p if p.low is not None and p.high is not None else None for p in series.points]):
            upper = thinned([(x(p.at), y(p.high or 0.0)) for p in part])
            lower = thinned([(x(p.at), y(p.low or 0.0)) for p in part])
            yield path(f"{outline([*upper, *reversed(lower)])}z", f"veil {series.role}")
        parts = self._courses(series)
        drawn = "".join(outline(thinned(part)) for part in parts if len(part) > 1)
        if drawn:
            yield path(drawn, f"{'dashed' if series.dashed else 'line'} {series.role}")
        # what has a gap on both sides would not be seen as a line
        yield from (circle(part[0], 2, f"fill {series.role}") for part in parts if len(part) == 1)

    def _points(self, series: Series) -> Iterator[str]:
        count = len(series.points)
        each = self.plot.width / max(count, 1)
        every = 1 if each >= _DOTTED else -(-count // _TELLING) if self._is_one_of_many(series) else 0
        for number, p in enumerate(series.points):
            marked = (every and not series.dashed and number % every == 0) or p.state != "final" or p.note
            if p.value is None or not (marked or (each >= _FEW and (p.href or p.title))):
                continue
            place = (self.x(p.at), self.y(p.value))
            body = point_mark(p.state, place, series.role, 2.0 if each < 10 else 2.5) if marked else ""
            if p.href or p.title:
                body = rect(place[0] - each / 2, self.plot.top, each, self.plot.height, "hit ground") + body
            yield linked(body, p.title, p.href)
            if p.note:
                yield self._note(p.note, place)

    def _is_one_of_many(self, series: Series) -> bool:
        """Whether a line has to be told from others that mean no more than it does."""
        return len(self.lines.series) > 1 and series.role.startswith("series-")

    @cached_property
    def _obstacles(self) -> list[list[Place]]:
        """What no note may hide: lines, thresholds and their names."""
        courses = [course for series in self.lines.series for course in self._courses(series)]
        for threshold in self.lines.thresholds:
            at, name = self.y(threshold.value), self._name_box(threshold)
            courses += [
                [(self.plot.left, at), (self.plot.right, at)],
                [(name.left, name.top), (name.right, name.top)],
            ]
        return courses

    def _courses(self, series: Series) -> list[list[Place]]:
        """A line's parts between gaps, in pixels."""
        places = [None if p.value is None else (self.x(p.at), self.y(p.value)) for p in series.points]
        return stretches(places)

    def _note(self, note: str, place: Place) -> str:
        """A text beside a point, where it is within the plot and hides no line."""
        wide = text_width(note) * 1.08
        choices = []
        for across, down, anchor in _PLACES:
            left = place[0] + across - {"start": 0.0, "middle": wide / 2, "end": wide}[anchor]
            box = Plot(left, place[1] + down - 9, left + wide, place[1] + down + 2)
            outside = box.left < self.plot.left or box.right > self.plot.right + 2
            outside = outside or box.top < self.plot.top or box.bottom > self.plot.bottom
            choices.append((outside, any(crosses(part, box) for part in self._obstacles), across, down, anchor))
        _, _, across, down, anchor = min(choices, key=lambda choice: choice[:2])
        return text(note, (place[0] + across, place[1] + down), "strong ink halo", anchor=anchor)

    def _threshold(self, threshold: Threshold) -> str:
        if not self.values:
            return ""
        at, box = self.y(threshold.value), self._name_box(threshold)
        line = segment((self.plot.left, at), (self.plot.right, at), f"dashed {threshold.role}")
        name = text(threshold.name, (box.right, box.bottom), f"small {threshold.role} halo", anchor="end")
        return linked(line + name, f"{threshold.name}: {threshold.value:g}")

    def _name_box(self, threshold: Threshold) -> Plot:
        """Where a threshold's name is: at the right, above its line if there is room."""
        at = self.y(threshold.value)
        bottom = at - 4 if at - 14 > self.plot.top else at + 12
        wide = text_width(threshold.name, 10)
        return Plot(self.plot.right - wide, bottom - 9, self.plot.right, bottom)

    @cached_property
    def _named(self) -> list[tuple[Event, float, int | None]]:
        """Events in order, with the middle of each one's name and its row: None where there is room in neither."""
        plot_left, plot_right = self.left, self.width - 4
        named = text_width(self.lines.events_name, 10)
        ends = [max(plot_left - 8, named + 4 if named > plot_left - 8 else 0.0)] + [-8.0] * (_NAME_ROWS - 1)
        placed: list[tuple[Event, float, int | None]] = []
        for event in sorted(self.lines.events, key=lambda e: e.at):
            half = text_width(event.name, 10) / 2
            middle = min(max(self.x(event.at), plot_left + half), plot_right - half)
            row = next((row for row, end in enumerate(ends) if middle - half > end), None)
            if row is not None:
                ends[row] = middle + half + 4
            placed.append((event, middle, row))
        return placed

    def _events(self) -> Iterator[str]:
        if self.lines.events and self.lines.events_name:
            start = max(self.left - 8 - text_width(self.lines.events_name, 10), 0)
            yield text(self.lines.events_name, (start, self.above - 5), "small soft")
        for event, middle, row in self._named:
            at = self.x(event.at)
            body = segment((at, self.above), (at, self.below.bottom), "dotted event")
            if row is not None:
                body += text(event.name, (middle, self.above - 5 - LINE * row), "small event", anchor="middle")
            yield linked(body, event.title or event.name, event.href)

    def _lanes(self) -> Iterator[str]:
        if self.lines.lanes:
            yield segment((self.plot.left, self.plot.bottom), (self.plot.right, self.plot.bottom), "thin grid")
        for row, lane in enumerate(self.lines.lanes):
            top = self.plot.bottom + 8 + row * _LANE
            shown = fitted(lane.name, self.left - 8, 10)
            whole = lane.name if shown != lane.name else ""
            yield text(shown, (self.left - 6, top + 12), "small ink", anchor="end", whole=whole)
            for span in lane.spans:
                left, right = self._edges(span.start, span.end)
                # what was over within a pixel is seen all the same
                body = rect(left, top + 3, max(right - left, 2.0), _LANE - 8, f"fill {span.role}")
                yield linked(body, span.title or lane.name, span.href)
