"""The reference of a window's estimates: the labelled cases of a time before it, of which its figures keep counts.

A window's calibration is made when the window is first looked at, of what was known before it began, and kept:
labels that come late count for the windows after them, and no estimate is improved when its own labels are in.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from trikk.models.score_bins import from_flat
from trikk.monitoring.estimate_calibration import LEAST, Calibration, fitted
from trikk.monitoring.figures import SCORES, Figures
from trikk.monitoring.windows import Window, window_at, windows_between, zone_of

if TYPE_CHECKING:
    from trikk.monitoring.definition import MonitorSpec
    from trikk.monitoring.records import Records, WindowRecord

_INSTANT = timedelta(microseconds=1)


class Reference:
    """Finds the calibration of each window of a monitor.

    Args:
        spec: the monitor.
        records: its part of the ledger.

    Attributes:
        kinds: the kinds of windows in the order in which they are to be looked at: the reference's first.
    """

    def __init__(self, spec: MonitorSpec, records: Records) -> None:
        self._spec, self._records = spec, records
        self._zone = zone_of(spec.timezone)
        self._kind = "day" if "day" in spec.windows else spec.windows[0]
        self.kinds = [self._kind, *(kind for kind in spec.windows if kind != self._kind)]
        if not spec.calibrate:
            self.kinds = [*spec.windows]
        self._seen: dict[str, Figures | None] = {}
        self._made: dict[str, Calibration] = {}

    def add(self, record: WindowRecord) -> None:
        """Take notice of a window as it is now, which may not be in the ledger yet."""
        if self._spec.calibrate and record.kind == self._kind:
            self._seen[record.label] = record.whole

    def calibration(self, window: Window, now: datetime) -> Calibration | None:
        """The calibration of a window: that of the day in which it begins; None if the monitor wants none.

        Args:
            window: the window.
            now: as of when it is written down.
        """
        if not self._spec.calibrate:
            return None
        day, definition = window_at("day", window.start, self._zone), self._spec.figured
        if day.label not in self._made:
            kept = self._records.calibration(day.label, definition)
            if kept is None:
                found = self._fitted(day)
                if not found.lack:
                    kept = self._records.calibrate(day.label, definition, found.to_json(), now.timestamp())
            self._made[day.label] = found if kept is None else Calibration.read(kept)
        return self._made[day.label]

    def _fitted(self, day: Window) -> Calibration:
        """A calibration of the windows whose labels were due before a day began."""
        until = day.start - self._spec.label_delay
        since = day.start - timedelta(seconds=self._spec.calibrate)
        labels = []
        if since < until:
            near = windows_between(self._kind, since, until - _INSTANT, self._zone)
            labels = [one.label for one in near if since <= one.start and one.end <= until]
        figures = [(label, self._figures(label)) for label in labels]
        known = [(label, one) for label, one in figures if one is not None and _bins(one)]
        if not known:
            return Calibration()
        bins = [{name: from_flat(flat) for name, flat in _bins(one).items()} for _, one in known]
        cases = sum(max(sum(map(sum, one.values())) for one in window.values()) for window in bins)
        curves = fitted(bins) if cases >= LEAST else {}
        return Calibration(curves, cases, known[0][0], known[-1][0])

    def _figures(self, label: str) -> Figures | None:
        if label not in self._seen:
            record = self._records.window(self._kind, label)
            self._seen[label] = None if record is None else record.whole
        return self._seen[label]


def _bins(figures: Figures) -> dict[str, list[int]]:
    """The histograms of probabilities that a window keeps, by class."""
    found: dict[str, list[int]] = figures.scores.get(SCORES["m"], {}).get("bins", {})
    return found
