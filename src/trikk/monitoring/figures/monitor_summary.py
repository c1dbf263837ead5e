"""One monitor among others, as commands and the server list it."""

from __future__ import annotations

from dataclasses import dataclass

from trikk.core.values import JSON
from trikk.monitoring.figures.records import Cursor, Records, WindowRecord
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.runs.journals.ledger import Ledger


@dataclass(frozen=True, slots=True)
class MonitorSummary:
    """A monitor that has been evaluated."""

    spec: MonitorSpec  # as of its last evaluation
    cursor: Cursor  # how far it is evaluated
    newest: WindowRecord | None  # the last of its first kind of window that has labels

    def to_json(self) -> dict[str, JSON]:
        """As JSON, which scripts read."""
        newest = None if self.newest is None else self.newest.to_json()
        return {"monitor": self.spec.to_json(), "evaluated": self.cursor.at, "newest": newest}


def monitor_summary(ledger: Ledger, name: str) -> MonitorSummary:
    """A monitor's summary; UnknownName if it has not been evaluated."""
    records = Records(ledger, name)
    spec, cursor = records.spec(), records.cursor()
    newest = records.newest(spec, spec.windows[0], 1, lambda window: window.whole.labelled)
    return MonitorSummary(spec, cursor, newest[0] if newest else None)
