"""The reference of a window's estimates: the labelled cases of a time before it, of which its figures keep counts.

A window's calibration is made when the window is first looked at, of what was known before it began, and kept:
labels that come late count for the windows after them, and no estimate is improved when its own labels are in.
It is made of windows that the same versions predicted: what another one's probabilities were worth says nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from trikk.core.zones import zone_of
from trikk.models.metrics.score_bins import from_flat
from trikk.monitoring.cases.case_columns import PREDICTED
from trikk.monitoring.cases.windows import Window, WindowKind, window_at, windows_between
from trikk.monitoring.estimates.calibration import LEAST, Calibration, fitted
from trikk.monitoring.figures.records import fingerprint
from trikk.monitoring.figures.window_figures import SCORES, Figures

if TYPE_CHECKING:
    import polars as pl

    from trikk.monitoring.figures.records import Records, WindowRecord
    from trikk.monitoring.monitor_definition import MonitorSpec

_INSTANT = timedelta(microseconds=1)
_ALIKE = 0.9  # of the predictions are of the same versions: of a fleet's many models some are always new


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
        self._kind = WindowKind.DAY if WindowKind.DAY in spec.windows else spec.windows[0]
        # A week's calibration is that of the day in which it begins, and needs the days before it.
        self.kinds = [self._kind, *(kind for kind in spec.windows if kind != self._kind)]
        if not spec.calibrate:
            self.kinds = [*spec.windows]
        self._seen: dict[str, WindowRecord | None] = {}
        self._made: dict[tuple[str, str], Calibration] = {}

    def add(self, record: WindowRecord) -> None:
        """Take notice of a window as it is now, which may not be in the ledger yet."""
        if self._spec.calibrate and record.kind == self._kind:
            self._seen[record.label] = record

    def calibration(self, window: Window, versions: dict[str, int], now: datetime) -> Calibration | None:
        """The calibration of a window: that of the day in which it begins; None if the monitor wants none."""
        if not self._spec.calibrate:
            return None
        day, definition = window_at(WindowKind.DAY, window.start, self._zone), self._spec.figured
        definition += f" {fingerprint([*versions])}" if versions else ""
        if (day.label, definition) not in self._made:
            kept = self._records.calibration(day.label, definition)
            # Written down at the first look and read ever after: labels that come later must not
            # improve an old estimate.
            if kept is None:
                fresh = self._fitted(day, versions)
                if not fresh.lack:
                    kept = self._records.calibrate(day.label, definition, fresh.to_json(), now.timestamp())
            self._made[day.label, definition] = fresh if kept is None else Calibration.read(kept)
        return self._made[day.label, definition]

    def _fitted(self, day: Window, versions: dict[str, int]) -> Calibration:
        """A calibration of the windows of the same versions whose labels were due before a day began."""
        # Only labels that were due: what came early would make a reference of places that report early.
        until = day.start - self._spec.label_delay
        since = day.start - timedelta(seconds=self._spec.calibrate)
        labels = []
        if since < until:
            near = windows_between(self._kind, since, until - _INSTANT, self._zone)
            labels = [one.label for one in near if since <= one.start and one.end <= until]
        every = [one for label in labels if (one := self._window(label)) is not None and _bins(one.whole)]
        known = [one for one in every if _alike(one.versions, versions)]
        left_out = len(every) - len(known)
        if not known:
            return Calibration(others=left_out)
        bins = [{name: from_flat(flat) for name, flat in _bins(one.whole).items()} for one in known]
        cases = sum(max(sum(map(sum, one.values())) for one in window.values()) for window in bins)
        curves = fitted(bins) if cases >= LEAST else {}
        return Calibration(curves, cases, known[0].label, known[-1].label, left_out)

    def _window(self, label: str) -> WindowRecord | None:
        if label not in self._seen:
            self._seen[label] = self._records.window(self._kind, label)
        return self._seen[label]


def versions_of(rows: pl.DataFrame) -> dict[str, int]:
    """How many of the predictions each version made, by "model version"; empty where the rows do not say it."""
    import polars as pl

    if not {"model", "model_version"} <= set(rows.columns):
        return {}
    name = pl.concat_str(pl.col("model").cast(pl.String), pl.col("model_version").cast(pl.String), separator=" ")
    counts = rows.filter(pl.col(PREDICTED).is_not_null()).group_by(name.fill_null("").alias("of")).len().sort("of")
    return dict(counts.iter_rows())


def _alike(first: dict[str, int], second: dict[str, int]) -> bool:
    """Whether nearly as large a part of the predictions of both is of each version."""
    if not first or not second:
        return first == second
    totals = sum(first.values()), sum(second.values())
    return sum(min(n / totals[0], second.get(name, 0) / totals[1]) for name, n in first.items()) >= _ALIKE


def _bins(figures: Figures) -> dict[str, list[int]]:
    """The histograms of probabilities that a window keeps, by class."""
    bins: dict[str, list[int]] = figures.scores.get(SCORES["m"], {}).get("bins", {})
    return bins
