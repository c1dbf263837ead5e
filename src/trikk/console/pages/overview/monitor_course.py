"""How each monitor's first figure went lately, beside its baseline."""

from __future__ import annotations

from functools import lru_cache
from math import isfinite
from typing import Any

from trikk.charts import Svg, sparkline
from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.monitoring.figures.records import Records, names
from trikk.runs.journals.ledger import Ledger

_WINDOWS = 30
_KEPT = 256  # courses in memory


class MonitorCourse(Record, frozen=True):
    """A monitor's last windows.

    Attributes:
        name: the monitor.
        title: what people call it; "" for its name.
        metric: its first one.
        kind: hour, day, week or month.
        labels: what the windows are called, in the order of time.
        values: the figure in each; None where there is none (yet).
        baseline: the baseline's, likewise; empty if the monitor has none.
        own: the figure on the cases that have a baseline, likewise.
        newest: the number of the last window with a value; None if none has one.
        truth: the newest moment that has a truth, seconds since 1970; None if there is none.
        evaluated: as of when it was evaluated last, seconds since 1970; None if it never was.
    """

    name: str
    title: str
    metric: str
    kind: str
    labels: tuple[str, ...]
    values: tuple[float | None, ...]
    baseline: tuple[float | None, ...]
    newest: int | None
    truth: float | None
    evaluated: float | None

    def picture(self) -> Svg:
        """Its course, which leads to the monitor."""
        last = "no value" if self.newest is None else f"{self.values[self.newest]:.4g}"
        label = f"{self.metric} of {self.name}: {last}"
        return sparkline(self.values, label, baseline=self.baseline, href=f"/monitors/{self.name}", title=label)

    def to_json(self) -> dict[str, JSON]:
        """As JSON."""
        return super().to_json()


def monitor_courses(ledger: Ledger, most: int) -> list[MonitorCourse]:
    """The first so many monitors that were evaluated, by name."""
    listed = []
    known: Any = ledger  # by which instance it is
    for name in sorted(names(ledger))[:most]:
        cursor = ledger.last(f"monitor/{name}/cursor")
        listed.append(_course(known, name, 0 if cursor is None else cursor.seq))
    return listed


@lru_cache(maxsize=_KEPT)
def _course(ledger: Ledger, name: str, seq: int) -> MonitorCourse:  # noqa: ARG001 - figures change with `seq` only
    records = Records(ledger, name, sliced_by="")
    spec, cursor = records.spec(), records.cursor()
    metric, kind = spec.metrics[0], spec.windows[0]
    windows = records.newest(spec, kind, _WINDOWS)
    values = tuple(_number(window.whole.metrics.get(metric)) for window in windows)
    baseline = tuple(_number(window.whole.baseline.get(metric)) for window in windows) if spec.baseline else ()
    truth = records.newest_truth()
    return MonitorCourse(
        name=name,
        title=spec.titles.title,
        metric=metric,
        kind=kind,
        labels=tuple(window.label for window in windows),
        values=values,
        baseline=baseline,
        newest=max((place for place, value in enumerate(values) if value is not None), default=None),
        truth=None if truth is None else truth.timestamp(),
        evaluated=cursor.at,
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and isfinite(value) else None
