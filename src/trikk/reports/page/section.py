"""What one monitor has found in a period, as it stands on a page. Pure but for what it is given to read from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from trikk.core.text import counted
from trikk.core.zones import zone_of
from trikk.monitoring.estimates.estimated_figures import ECE
from trikk.monitoring.figures.matrix import Matrix, matrix_of
from trikk.monitoring.figures.pooling import NOT_ADDABLE, Pooled
from trikk.monitoring.figures.records import WindowRecord, reason_for
from trikk.monitoring.figures.window_figures import beside_metrics
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.reports.monitor_history import MonitorHistory, Part, WindowHistory, figures_in, figures_of, pooled_over
from trikk.reports.page import words
from trikk.reports.page.page_content import Metric, Point, PointState, Restated, Section, Slice, SliceTable
from trikk.reports.periods import Period

_WAITING = (PointState.PARTIAL, PointState.PENDING, PointState.OVERDUE)
_ADDED = ("coverage", ECE)
_HALF = 0.5  # of the windows: with fewer labelled ones before, a comparison says little
_MOST_CLASSES = 50  # of a matrix that is stored: 2,500 numbers on each page of each period


@dataclass(frozen=True, slots=True)
class Span:
    """A monitor's windows of a period: those of the picture, and those that its figures are taken from."""

    pictured: tuple[WindowHistory, ...]
    counted: tuple[WindowRecord, ...]

    @property
    def newest(self) -> float | None:
        """When the newest of its facts was written down."""
        return max((past.at for window in self.pictured for past in window.past), default=None)


def span(history: MonitorHistory, period: Period) -> Span:
    """Read the windows of a period.

    The window of the very period gives the figures if the monitor has one (a week's of its week); otherwise they
    are pooled from the windows in the picture.
    """
    pictured = tuple(history.between(history.kind_for(period.kind), period.start, period.end))
    # A monitor's own window of that kind is exact for every metric; pooled ones are not for a median.
    if period.kind in history.spec.windows:
        own = history.at(period.kind, period.start)
        if own.record is not None and (own.record.start, own.record.end) == (period.start, period.end):
            return Span(pictured, (own.record,))
    return Span(pictured, tuple(window.record for window in pictured if window.record is not None))


def section(
    history: MonitorHistory,
    now: Span,
    before: Span,
    period: Period,
    slices: Sequence[str] | None,
    part: Part | None,
) -> Section:
    """Put a monitor's part of a page together."""
    spec, titles, customer = history.spec, history.spec.titles, part is not None
    zone = zone_of(spec.timezone)
    whole, earlier = pooled_over(now.counted, part), pooled_over(before.counted, part)
    names = [*spec.metrics, *(name for name in _ADDED if name in whole.metrics and name not in spec.metrics)]
    metrics = [_metric(spec, name, whole, earlier, customer=customer) for name in names]
    baseline = spec.baseline and (titles.baseline or spec.baseline)
    restated = _restated(now.pictured, part, spec.metrics[0], period.zone)
    times = Counter(one.label for one in restated if one.moved)
    points = [_point(window, part, spec.metrics[0], zone, times[window.label]) for window in now.pictured]
    worst = _worst(points, metrics[0].better)
    return Section(
        monitor=spec.name,
        watches=f"{spec.predictions} against {spec.truth}",
        window=history.kind_for(period.kind),
        sentence=words.sentence(metrics[0], baseline, period.before.short),
        metric=metrics[0],
        metrics=tuple(metrics),
        baseline=baseline,
        points=tuple(points),
        predicted=whole.predicted,
        observed=whole.observed,
        labelled=whole.labelled,
        coverage=whole.coverage,
        waiting=whole.predicted - whole.labelled,
        unpredicted=whole.observed - whole.labelled,
        states={state: sum(point.state == state for point in points) for state in PointState},
        worst=worst.label if worst else "",
        worst_text=_worst_text(worst, metrics[0]) if worst else "",
        slices=tuple(_slices(history, now, before, slices, part)),
        restated=tuple(restated),
        notes=tuple(_notes(history, metrics, now, before, period, part)),
        title=titles.monitor(customer=customer) or spec.name,
        confusion=_confusion(now.counted, part),
    )


def _confusion(records: Sequence[WindowRecord], part: Part | None) -> Matrix | None:
    """The confusion matrix of all cases, classes in the order of the newest model."""
    order = next((record.classes for record in reversed(records) if record.classes), ())
    matrix = matrix_of([figures for record in records for figures in figures_in(record, part)], order)
    return None if matrix is None else matrix.bounded(_MOST_CLASSES)


def _worst_text(worst: Point, metric: Metric) -> str:
    return f"{words.window_text(worst.label)}, {words.number(worst.value, metric.name, metric.unit)}"


def _metric(spec: MonitorSpec, name: str, whole: Pooled, earlier: Pooled, *, customer: bool) -> Metric:
    value, better = whole.metrics.get(name), spec.better(name)
    # A figure of a few cases says nothing to compare with.
    before = earlier.metrics.get(name) if earlier.labelled >= spec.minimum else None
    baseline, own = whole.baseline.get(name), whole.own.get(name)
    return Metric(
        name=name,
        title=spec.titles.metric(name, customer=customer) or words.title_of(name),
        unit=spec.titles.unit_of(name),
        value=value,
        before=before,
        baseline=baseline,
        own=own,
        change=words.change(better, value, before),
        gain=words.gain(better, own, baseline),
        verdict=words.verdict(better, value, before),
        better=better,
        exact=name not in whole.rough,
        error=whole.errors.get(name, 0.0),
        reason="" if value is not None else whole.reasons.get(name, ""),
    )


def _point(window: WindowHistory, part: Part | None, metric: str, zone: ZoneInfo, restated: int) -> Point:
    local = window.start.astimezone(zone)
    tick = f"{local:%H:%M}" if "T" in window.label else str(local.day)
    if window.record is None:
        return Point(window.label, tick, PointState.MISSING)
    figures = figures_of(window.record, part)
    return Point(
        label=window.label,
        tick=tick,
        state=_state(PointState(window.record.state), figures, is_part=part is not None),
        value=figures.metrics.get(metric),
        baseline=figures.baseline.get(metric),
        predicted=figures.predicted,
        observed=figures.observed,
        labelled=figures.labelled,
        restated=restated,
    )


def _state(state: PointState, figures: Pooled, *, is_part: bool) -> PointState:
    """The state of a window or of a part of it, from that of the whole."""
    if not is_part:
        return state
    if not figures.predicted and not figures.observed:
        return PointState.EMPTY
    if state in _WAITING and figures.predicted == figures.labelled:
        return PointState.FINAL
    return PointState.PENDING if state is PointState.PARTIAL and not figures.labelled else state


def _worst(points: Sequence[Point], better: str) -> Point | None:
    """The window with the worst figure; None if there are not several to choose from, or that can't be said."""
    # By label where figures are equal, so that a replay names the same.
    known = [(words.badness(better, p.value), p.label, p) for p in points if p.value is not None]
    return max(known)[2] if better and len(known) > 1 else None


def _slices(
    history: MonitorHistory, now: Span, before: Span, slices: Sequence[str] | None, part: Part | None
) -> list[SliceTable]:
    """The tables of slices; for a part, only the column that makes it one, and only its values."""
    wanted = [name for name in history.spec.slices if slices is None or name in slices]
    wanted = [name for name in wanted if part is None or name == part[0]]
    tables = []
    for column in wanted:
        values = {f.value for w in now.counted for f in w.figures if f.slice == column}
        if part is not None:
            values &= set(part[1])
        parts = [(column, (value,)) for value in sorted(values)]
        rows = [_slice(history, now, before, one, customer=part is not None) for one in parts]
        if rows:
            ordered = tuple(_ordered(rows, history.spec.better(history.spec.metrics[0])))
            tables.append(SliceTable(column, ordered, history.spec.titles.column(column)))
    return tables


def _slice(history: MonitorHistory, now: Span, before: Span, one: Part, *, customer: bool) -> Slice:
    metric, least = history.spec.metrics[0], history.spec.minimum
    better = history.spec.better(metric)
    whole, earlier = pooled_over(now.counted, one), pooled_over(before.counted, one)
    value = whole.metrics.get(metric)
    then = earlier.metrics.get(metric) if earlier.labelled >= least else None
    text = one[1][0]
    name = history.spec.titles.value(one[0], text)
    return Slice(
        value=text,
        name=name if customer or not name else f"{name} ({text})",
        metric=value,
        error=whole.errors.get(metric, 0.0),
        before=then,
        change=words.change(better, value, then),
        verdict=words.verdict(better, value, then),
        labelled=whole.labelled,
        share=0.0,
        few=whole.labelled < least,
    )


def _ordered(rows: list[Slice], better: str) -> list[Slice]:
    """The worst (or just the largest) first; those with few cases later, those without a figure last."""

    def key(row: Slice) -> tuple[bool, bool, float, str]:
        bad = 0.0 if row.metric is None else words.badness(better, row.metric)
        return row.metric is None, row.few, -bad, row.value

    most = max((abs(row.metric) for row in rows if row.metric is not None), default=0.0)
    ordered = sorted(rows, key=key)
    return [replace(row, share=round(abs(row.metric or 0.0) / most, 4) if most else 0.0) for row in ordered]


def _restated(pictured: Sequence[WindowHistory], part: Part | None, metric: str, zone: ZoneInfo) -> list[Restated]:
    restated = []
    for window in pictured:
        for was, now in zip(window.past, window.past[1:], strict=False):
            first, last = figures_of(was, part), figures_of(now, part)
            if now.restated > was.restated and (part is None or first != last):
                at = words.moment_text(now.at, zone)
                # What changed the whole may not concern the part: of that it is only known how many labels it got.
                why = now.why if part is None else reason_for(last.labelled - first.labelled)
                figures = first.metrics.get(metric), last.metrics.get(metric)
                moved = len({words.number(figure, metric) for figure in figures}) > 1
                restated.append(Restated(window.label, at, why, *figures, moved))
    return restated


def _notes(
    history: MonitorHistory, metrics: Sequence[Metric], now: Span, before: Span, period: Period, part: Part | None
) -> list[str]:
    notes = []
    rough = [metric.title for metric in metrics if not metric.exact]
    if rough:
        notes.append(
            f"{', '.join(rough)}: the mean of the windows' values, weighted by their cases, as an older build has "
            "kept no more of them."
        )
    notes += [
        f"{m.title}: {_why(history.spec, m, period, customer=part is not None)}." for m in metrics if m.reason
    ]
    notes += _lacking(history.spec.metrics, metrics, now)
    parts = [figures for record in now.counted for figures in figures_in(record, part)]
    notes += [f"{line[0].upper()}{line[1:]}." for line in beside_metrics(parts)]
    counts = [sum(bool(r and r.whole.labelled) for r in _records(s)) for s in (now, before)]
    if 0 < counts[1] < _HALF * counts[0]:
        kind = history.kind_for(period.kind)
        notes.append(
            f"Of {period.before.short}, {counted(counts[1], kind)} only have labels, of this period "
            f"{words.count(counts[0])}: take the comparison with care."
        )
    return notes


def _why(spec: MonitorSpec, metric: Metric, period: Period, *, customer: bool) -> str:
    """Why a metric has no value; and to those who declare monitors, what would give it one."""
    why = f"{words.NONE}, as {metric.reason}"
    if metric.reason != NOT_ADDABLE or period.kind in spec.windows or customer:
        return why
    windows = ", ".join(f'"{kind}"' for kind in (*spec.windows, period.kind))
    return f"{why}; with windows=[{windows}] the monitor makes it of all cases of a {period.kind}"


def _lacking(names: Sequence[str], metrics: Sequence[Metric], now: Span) -> list[str]:
    """Which metrics the windows of the period lack, since they were made under another definition."""
    labelled = [record.whole for record in now.counted if record.whole.labelled]
    notes = []
    for metric in metrics:
        lacking = sum(metric.name not in figures.metrics for figures in labelled) if metric.name in names else 0
        if lacking:
            notes.append(
                f"{metric.title}: {words.count(lacking)} of the {len(labelled):,} windows were made under "
                "another definition, without it."
            )
    return notes


def _records(span: Span) -> list[WindowRecord | None]:
    return [window.record for window in span.pictured]
