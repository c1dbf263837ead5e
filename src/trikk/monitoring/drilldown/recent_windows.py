"""A monitor's last windows and what they come to together, as commands and the server show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trikk.core.errors import TrikkError, UnknownName
from trikk.core.values import JSON
from trikk.execution.project import Project
from trikk.monitoring.cases.unseen import why_class_unknown, why_unknown
from trikk.monitoring.cases.windows import WindowState
from trikk.monitoring.estimates.estimated_figures import estimable
from trikk.monitoring.estimates.trust import Trust, trusts
from trikk.monitoring.figures.matrix import Matrix, matrix_of
from trikk.monitoring.figures.records import Records, WindowRecord
from trikk.monitoring.figures.window_figures import Figures
from trikk.monitoring.monitor_definition import MonitorSpec

_JUDGED = 32  # windows by which an estimate is judged: more than count, as some may have too few labels


@dataclass(frozen=True, slots=True)
class RecentWindows:
    """The last windows of one kind.

    Attributes:
        spec: the monitor, as of its last evaluation.
        kind: hour, day, week or month.
        windows: in order of time.
        parts: for each that has some, its label and figures: of the slice that is asked for, or of all cases.
        trusted: whether the monitor's estimates are to be trusted.
        unknown: why none of the windows knows its share of new categories ("unseen"), and of truths of a new class
            ("unseen_class"); None if one does.
        ahead: rows that are dated in the future (`trikk.monitoring.cases.ahead`).
        matrix: the confusion matrix of the parts; None if they are of no classes.
    """

    spec: MonitorSpec
    kind: str
    windows: list[WindowRecord]
    parts: list[tuple[str, Figures]]
    trusted: list[Trust]
    unknown: dict[str, str | None]
    ahead: dict[str, JSON]
    matrix: Matrix | None

    @classmethod
    def read(cls, document: Mapping[str, Any], chosen: tuple[str, str] | None = None) -> RecentWindows:
        """What `to_json` wrote of a slice, or of all cases."""
        windows = [WindowRecord.read(window) for window in document["windows"]]
        parts, matrix = _parts_of(windows, chosen)
        unknown = {"unseen": document["unseen_unknown"], "unseen_class": document["unseen_class_unknown"]}
        return cls(
            MonitorSpec.read(document["monitor"]),
            document["kind"],
            windows,
            parts,
            [Trust.read(trust) for trust in document["estimates"]],
            unknown,
            document["dated_in_the_future"],
            matrix,
        )

    def to_json(self) -> dict[str, JSON]:
        """As JSON, which scripts read."""
        return {
            "monitor": self.spec.to_json(),
            "kind": self.kind,
            "windows": [window.to_json() for window in self.windows],
            "estimates": [trust.to_json() for trust in self.trusted],
            "unseen_unknown": self.unknown["unseen"],
            "unseen_class_unknown": self.unknown["unseen_class"],
            "dated_in_the_future": self.ahead,
            **matrix_document(self.matrix),
        }


def recent_windows(
    project: Project, spec: MonitorSpec, kind: str, last: int, chosen: tuple[str, str] | None = None
) -> RecentWindows:
    """Read a monitor's last windows.

    Args:
        project: the project.
        spec: the monitor.
        kind: hour, day, week or month.
        last: how many windows.
        chosen: a slice's column and value as text; all cases if None.

    Raises:
        UnknownName: if the monitor has no such windows or slices.
    """
    check_kind(spec, kind, chosen)
    records = Records(project.journal, spec.name)
    windows = records.newest(spec, kind, last)
    judged = records.newest(spec, kind, _JUDGED, _foretold) if estimable(spec) else []
    parts, matrix = _parts_of(windows, chosen)
    return RecentWindows(
        spec,
        kind,
        windows,
        parts,
        trusts(spec, judged),
        _why_unknown(project, spec, windows),
        records.cursor().ahead,
        matrix,
    )


def window_document(record: WindowRecord, past: Sequence[WindowRecord]) -> dict[str, Any]:
    """One window as JSON, with the confusion matrices of all its cases and of each slice, and its past.

    Args:
        record: the window.
        past: how it was evaluated each time, the last among them.
    """
    document: dict[str, Any] = record.to_json()
    for part, figures in zip(document["figures"], record.figures, strict=True):
        part.update(matrix_document(matrix_of([figures], record.classes)))
    return {**document, "past": [one.to_json() for one in past]}


def newest_label(records: Records, spec: MonitorSpec, kind: str) -> str:
    """The label of the last window that has labels, or of the last one if none has.

    Raises:
        UnknownName: if the monitor has no such windows, or none was evaluated.
    """
    check_kind(spec, kind)
    # Today's window has no label yet: a list of it would be empty, and say nothing.
    newest = records.newest(spec, kind, 1, lambda w: w.whole.labelled) or records.newest(spec, kind, 1)
    if not newest:
        mend = "none has been evaluated yet: trikk watch --once does that"
        raise UnknownName(f"{kind} of monitor", spec.name, [], next=mend)
    return newest[0].label


def _parts_of(
    windows: Sequence[WindowRecord], chosen: tuple[str, str] | None
) -> tuple[list[tuple[str, Figures]], Matrix | None]:
    parts = [(w.label, part) for w in windows if (part := part_of(w, chosen)) is not None]
    order = next((w.classes for w in reversed(windows) if w.classes), ())
    return parts, matrix_of([part for _, part in parts], order)


def check_kind(spec: MonitorSpec, kind: str, chosen: tuple[str, str] | None = None) -> None:
    """Raise UnknownName for a kind of window, or a slice's column, that a monitor does not have."""
    if kind not in spec.windows:
        raise UnknownName("kind of window", kind, spec.windows)
    if chosen is not None and chosen[0] not in spec.slices:
        raise UnknownName("slice", chosen[0], spec.slices)


def cases_document(
    record: WindowRecord, chosen: tuple[str, str] | None, cases: list[dict[str, JSON]]
) -> dict[str, Any]:
    """Cases of a window, or a slice of it, as JSON, with the confusion matrix that they are in."""
    return {"cases": cases, **matrix_document(matrix_behind(record, chosen))}


def matrix_behind(record: WindowRecord, chosen: tuple[str, str] | None) -> Matrix | None:
    """The confusion matrix of a window, or a slice of it; None if it is of no classes."""
    part = part_of(record, chosen)
    return matrix_of([part] if part else [], record.classes)


def part_of(record: WindowRecord, chosen: tuple[str, str] | None) -> Figures | None:
    """The figures of a slice of a window, None if it has none; of all cases without one."""
    return record.of(*chosen) if chosen else record.whole


def matrix_document(matrix: Matrix | None) -> dict[str, JSON]:
    """The key of a document that has a confusion matrix; none without."""
    return {"confusion_matrix": matrix.to_json()} if matrix else {}


def _foretold(window: WindowRecord) -> bool:
    return window.state == WindowState.FINAL and bool(window.whole.estimated_labelled)


def _why_unknown(project: Project, spec: MonitorSpec, windows: list[WindowRecord]) -> dict[str, str | None]:
    reasons: dict[str, Any] = {"unseen": why_unknown, "unseen_class": why_class_unknown}
    lacking = [name for name in reasons if all(getattr(window.whole, name) is None for window in windows)]
    try:
        # Only where a share is unknown: opening the table takes longer than the rest.
        columns = project.tables.scan(spec.predictions).collect_schema().names() if lacking else []
    except TrikkError as error:
        return {name: error.what if name in lacking else None for name in reasons}
    return {n: why(spec, project.journal, columns) if n in lacking else None for n, why in reasons.items()}
