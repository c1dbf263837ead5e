"""Evaluate a monitor: read what is due, compute its figures, write down what is new. A day costs a day's work."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from trikk.core.zones import zone_of
from trikk.models.metrics.case_labels import Labels
from trikk.models.registry import Registry
from trikk.models.task import Task
from trikk.monitoring.cases.ahead import dated_ahead, row_days
from trikk.monitoring.cases.case_columns import BASELINE, EXPECTED, LOWER, MADE_BY, PROBABILITY, UPPER
from trikk.monitoring.cases.case_join import cases, check_tables
from trikk.monitoring.cases.changes import Source, changes
from trikk.monitoring.cases.due_windows import batches, due
from trikk.monitoring.cases.tasks import labels_known, of_positive
from trikk.monitoring.cases.unseen import Unseen
from trikk.monitoring.cases.windows import Window, WindowKind, WindowState, state_of
from trikk.monitoring.estimates.reference import Reference, versions_of
from trikk.monitoring.figures.records import Cursor, Records, WindowRecord, fingerprint, open_labels, restated
from trikk.monitoring.figures.window_figures import agree, figures
from trikk.monitoring.monitor_definition import MonitorSpec

if TYPE_CHECKING:
    import polars as pl

AHEAD = timedelta(days=14)
REDEFINED = "the definition has changed"
FEW = 4
"""Days whose cases are kept for drift."""

BATCH = {"hour": 24 * 7, "day": 31, "week": 4, "month": 1}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation found: the windows with new figures or a new state, and how many are as they were."""

    changed: tuple[WindowRecord, ...]
    unchanged: int


def evaluate(
    spec: MonitorSpec, source: Source, records: Records, *, now: datetime, run: str, identity: str
) -> Evaluation:
    """Evaluate a monitor as of a time and write down what is new.

    If what figures are made by is another than it was, all windows whose rows are there are made anew.

    Args:
        spec: the monitor.
        source: its tables.
        records: its part of the ledger.
        now: the time, with its zone.
        run: the run that does this.
        identity: makes each entry once, however often this is tried.

    Raises:
        UsageError: if the tables do not have what the monitor needs.
    """
    # Before anything is written down, so that a monitor that can't work leaves no half of an evaluation.
    check_tables(spec, source.predictions.collect_schema(), source.truth.collect_schema())
    cursor, zone = records.cursor(), zone_of(spec.timezone)
    redefined = cursor.is_of_another(spec)
    if redefined:
        cursor = Cursor()
    new = changes(spec, source, cursor, [spec.set_aside] if spec.set_aside else [])
    changed: list[WindowRecord] = []
    states: list[tuple[Window, WindowState]] = []
    until = dict(cursor.until)
    unchanged = 0
    reference = Reference(spec, records)
    days = functools.partial(row_days, spec, (source.predictions, source.truth), records.labels)
    # Those that calibrations are made of first: weeks and months estimate by the days of this very evaluation.
    for kind in reference.kinds:
        rows_of = functools.partial(days, kind)
        windows = due(kind, cursor, new.spans, new.whole, now + AHEAD, zone, rows_of).windows
        left: list[tuple[Window, WindowState]] = []  # for their time: open, if others after them are not
        for batch in batches(windows, BATCH[kind]):
            for record, is_new in _evaluated(spec, source, records, reference, batch, now, run, redefined):
                window = Window(record.start, record.end, kind, record.label)
                # A window ahead that is empty is not put down; but if a later one has cases, it
                # must be looked at when it is due.
                if _is_nothing_yet(records, record, now):
                    left.append((window, WindowState.PENDING))
                    continue
                states += [*left, (window, record.state)]
                left.clear()
                if is_new:
                    # By rows and state, so that a second attempt of a run that died in between adds nothing twice.
                    records.put(record, identity=f"{identity}/{record.fingerprint}/{record.state}")
                    changed.append(record)
                unchanged += not is_new
                until[kind] = max(record.end.isoformat(), until.get(kind, ""))
    # Last of all: if this process ends before, the same windows are due again and found as they are.
    ahead, at = dated_ahead(spec, source, new, now), now.timestamp()
    after = Cursor(at, dict(source.versions), open_labels(states), until, new.reach, spec.figured, ahead)
    records.advance(after, at=at, identity=identity)
    return Evaluation(tuple(changed), unchanged)


def _is_nothing_yet(records: Records, record: WindowRecord, now: datetime) -> bool:
    """Whether a window has yet to begin, and no prediction is or was in it; a truth there has a wrong clock."""
    is_ahead = record.start > now and not record.whole.predicted
    return is_ahead and records.window(record.kind, record.label) is None


def _evaluated(
    spec: MonitorSpec,
    source: Source,
    records: Records,
    reference: Reference,
    batch: Sequence[Window],
    now: datetime,
    run: str,
    redefined: bool,
) -> list[tuple[WindowRecord, bool]]:
    """Each window of a batch as it is now, and whether that is something new."""
    import polars as pl

    start, end, unseen = batch[0].start, batch[-1].end, Unseen(records.ledger)
    registry = Registry(records.ledger)
    joined = cases(spec, source.predictions, source.truth, start, end, unseen, registry, source.aside)
    if spec.drift is not None and batch[0].kind == WindowKind.DAY:
        source.joined.clear()
        # A night looks at a few days; a month at once would hold a month's rows while the next one is read.
        if len(batch) <= FEW:
            unused = {*spec.key, BASELINE, LOWER, UPPER, EXPECTED} - {*MADE_BY}
            source.joined[start, end] = joined.drop(unused, strict=False)
    labels = labels_known(spec, registry, joined)
    slot = pl.col(spec.slot)
    evaluated = []
    for window in batch:
        rows = joined.filter((slot >= window.start) & (slot < window.end)) if len(batch) > 1 else joined
        rows, own = _of_window(spec, registry, rows, labels)
        evaluated.append(_judged(spec, records, reference, window, rows, own, now, run, redefined))
        reference.add(evaluated[-1][0])
    return evaluated


def _of_window(
    spec: MonitorSpec, registry: Registry, rows: pl.DataFrame, together: Labels
) -> tuple[pl.DataFrame, Labels]:
    """A window's rows, and how to read them: by the versions that predicted in it, not in others of its batch.

    Else what a window says would depend on which others are evaluated with it: without a case of a class that only
    later versions know there is no AUC.
    """
    own = labels_known(spec, registry, rows) if together.task is Task.MULTICLASS else together
    if own.classes is None:
        return rows, together
    is_of_two = own.task is Task.BINARY and together.task is Task.MULTICLASS
    return (of_positive(spec, registry, rows) if is_of_two and PROBABILITY in rows.columns else rows), own


def _judged(
    spec: MonitorSpec,
    records: Records,
    reference: Reference,
    window: Window,
    rows: pl.DataFrame,
    labels: Labels,
    now: datetime,
    run: str,
    redefined: bool,
) -> tuple[WindowRecord, bool]:
    before = records.window(window.kind, window.label)
    versions = versions_of(rows) if spec.calibrate or spec.figures else {}
    # Rows of one hash have figures already; only their state, and the labels that are due, change with time.
    mark = fingerprint([spec.figured, rows.height, str(rows.hash_rows().sum()) if rows.height else "0"])
    same = before is not None and before.fingerprint == mark
    if before is not None and same:
        computed = before.figures
    else:
        computed = tuple(figures(spec, rows, labels, reference.calibration(window, versions, now)))
    whole = computed[0]
    state = state_of(
        window,
        whole.predicted,
        whole.observed,
        whole.labelled,
        delay=spec.label_delay,
        now=now,
        least=spec.least,
        settling=spec.settling,
    )
    record = WindowRecord(
        monitor=spec.name,
        kind=window.kind,
        label=window.label,
        start=window.start.astimezone(UTC),
        end=window.end.astimezone(UTC),
        state=state,
        figures=computed,
        at=now.timestamp(),
        run=run,
        fingerprint=mark,
        classes=() if labels.classes is None else tuple(labels.classes.texts),
        versions=versions,
    )
    if before is not None and before.state == record.state and agree(before.figures, record.figures):
        return before, False
    why = restated(before, record)
    # Figures made anew by another definition are no restatement: nobody's truth has changed.
    if redefined:
        return replace(record, why=why and REDEFINED, restated=before.restated if before else 0), True
    counts = before is not None and before.state is WindowState.FINAL and before.judged != record.judged
    return replace(record, why=why, restated=(before.restated if before else 0) + counts), True
