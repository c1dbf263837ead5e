"""What the ledger holds of a monitor, as it was known at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from trikk.core.errors import UnknownName
from trikk.core.zones import zone_of
from trikk.monitoring.cases.windows import WindowKind, window_named, windows_between
from trikk.monitoring.figures.pooling import Pooled, pooled
from trikk.monitoring.figures.records import Records, WindowRecord, names, unknown_monitor
from trikk.monitoring.figures.window_figures import Figures
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.reports.periods import PeriodKind
from trikk.runs.journals.ledger import Ledger

Part = tuple[str, tuple[str, ...]]
"""A column and the values of it that count."""
_FINER = {
    PeriodKind.MONTH: (WindowKind.DAY, WindowKind.HOUR, WindowKind.WEEK, WindowKind.MONTH),
    PeriodKind.WEEK: (WindowKind.DAY, WindowKind.HOUR, WindowKind.WEEK),
    PeriodKind.DAY: (WindowKind.HOUR, WindowKind.DAY),
}
"""By kind of period, the windows that picture it, the best first: enough points to see a course, not too many."""


@dataclass(frozen=True, slots=True)
class WindowHistory:
    """A window: as it was known, and everything that it had been until then, oldest first, itself last."""

    label: str
    start: datetime
    past: tuple[WindowRecord, ...] = ()

    @property
    def record(self) -> WindowRecord | None:
        """The window as it was known; None if it had not been evaluated."""
        return self.past[-1] if self.past else None


class MonitorHistory:
    """A monitor's figures as they were known at a time.

    Args:
        ledger: where they are.
        monitor: the monitor's name.
        until: entries of later times (seconds since 1970) do not count; None for all that there are.

    Raises:
        UnknownName: if the monitor has not been evaluated (by then).
    """

    def __init__(self, ledger: Ledger, monitor: str, until: float | None = None) -> None:
        self.records = Records(ledger, monitor)
        self.until = until
        definitions = [
            entry for entry in ledger.entries(f"monitor/{monitor}") if until is None or entry.at <= until
        ]
        if not definitions:
            raise unknown_monitor(monitor, names(ledger))
        self.spec = MonitorSpec.read(definitions[-1].body)
        self.defined = definitions[-1].at

    def kind_for(self, period: PeriodKind) -> str:
        """The kind of window that pictures a period best: days for a month, hours for a day."""
        for kind in _FINER[period]:
            if kind in self.spec.windows:
                return kind
        raise UnknownName(
            "kind of window for a report of a day",
            WindowKind.DAY,
            self.spec.windows,
            next=f'add "day" to the windows of monitor {self.spec.name}',
        )

    def between(self, kind: str, start: datetime, end: datetime) -> list[WindowHistory]:
        """The windows of a kind that begin from `start` to `end` (not included), evaluated or not."""
        windows = windows_between(kind, start, end, zone_of(self.spec.timezone))
        return [self._seen(kind, w.label, w.start) for w in windows if start <= w.start < end]

    def at(self, kind: str, start: datetime) -> WindowHistory:
        """The window of a kind in which a moment lies."""
        window = window_named(kind, start.isoformat(), zone_of(self.spec.timezone))
        return self._seen(kind, window.label, window.start)

    def _seen(self, kind: str, label: str, start: datetime) -> WindowHistory:
        past = self.records.past(kind, label)
        return WindowHistory(label, start, tuple(p for p in past if self.until is None or p.at <= self.until))


def figures_of(record: WindowRecord, part: Part | None) -> Pooled:
    """A window's figures: of all its cases, or of a part."""
    return pooled(figures_in(record, part))


def figures_in(record: WindowRecord, part: Part | None) -> list[Figures]:
    """A window's figures of all its cases, or of each value of a part."""
    if part is None:
        return [record.whole]
    column, values = part
    return [f for f in record.figures if f.slice == column and f.value in values]


def pooled_over(records: Iterable[WindowRecord], part: Part | None) -> Pooled:
    """The figures of several windows taken together."""
    return pooled(figures for record in records for figures in figures_in(record, part))
