"""Labels that are overdue: a window's time is over, and too few of its cases were observed."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from trikk.alerts.rules.monitor_rule import MonitorRule, recent
from trikk.alerts.rules.rule import Kind, Point, Reading, Severity
from trikk.monitoring.cases.windows import WindowState
from trikk.monitoring.monitor_definition import MonitorSpec

if TYPE_CHECKING:
    from trikk.monitoring.figures.records import Records, WindowRecord


class LabelRule(MonitorRule, frozen=True, kw_only=True):
    """Bad is a window whose labels are overdue."""

    kind: ClassVar[Kind] = Kind.LABELS
    severity: Severity = Severity.WARNING

    def judge(self, records: Records, spec: MonitorSpec, now: datetime) -> list[Reading]:
        """A reading of windows whose time is over: good if their labels came, bad if too few did."""
        windows = recent(records, spec, self.kind_of_window(spec), now, self.least, _is_over)
        points = tuple(_point(window, spec) for window in windows)
        return [Reading(self, spec.name, f"{spec.name}: labels are overdue", points)]


def _is_over(window: WindowRecord) -> bool:
    return window.state.is_over and window.whole.predicted > 0


def _point(window: WindowRecord, spec: MonitorSpec) -> Point:
    whole = window.whole
    share = whole.coverage or 0.0
    bad = window.state is WindowState.OVERDUE
    text = f"{whole.labelled:,} of {whole.predicted:,} labels came ({share:.0%})"
    return Point(
        mark=window.label,
        start=(window.end + spec.label_delay).timestamp(),
        at=window.end.timestamp(),
        bad=bad,
        text=f"{window.kind} {window.label}: {text}",
        badness=1 - share if bad else 0.0,
        facts={"window": window.label, "labels": text, "needed": f"{spec.least:.0%}"},
    )
