"""A day's values of one column beside those of the days that it is compared with, as shares in bins: for pictures.

They come from the kept profiles, so that no table is read. The reference is made of what is known of its days now;
a verdict was made of what was known then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trikk.core.record import Record
from trikk.core.zones import zone_of
from trikk.drift.measures.category_summary import Categories
from trikk.drift.measures.digest import key_of
from trikk.drift.measures.number_summary import Numbers
from trikk.monitoring.cases.windows import WindowKind, window_named
from trikk.monitoring.day_drift.drift_records import DriftRecords
from trikk.monitoring.day_drift.judgement import profiles_of
from trikk.monitoring.monitor_definition import MonitorSpec

if TYPE_CHECKING:
    from trikk.drift.measures.column_summary import ColumnProfile

_BINS = 12
_MOST = 14  # values or categories with a bin each; the others have one together
_TAIL = 0.01  # of the values on either side share the first and the last bin


class Share(Record, frozen=True):
    """The shares, 0 to 1, of the rows of the reference and of the day whose value is in one bin."""

    name: str
    reference: float
    current: float


@dataclass(frozen=True, slots=True)
class Distributions:
    """Both distributions; no shares where the profiles do not tell, and why."""

    shares: tuple[Share, ...] = ()
    why: str = ""


def distributions(records: DriftRecords, spec: MonitorSpec, day: str, column: str) -> Distributions:
    """How the values of a column lay on a day, and on the days that it is compared with.

    Args:
        records: the monitor's drift.
        spec: the monitor.
        day: the day's label.
        column: a feature's name, or prediction, truth, error.
    """
    own, reference = profiles_of(records, spec, window_named(WindowKind.DAY, day, zone_of(spec.timezone)))
    now = None if own is None else own.columns.get(column)
    then = None if reference is None else reference.columns.get(column)
    if now is None or then is None:
        when = "that day" if now is None else "days before"
        return Distributions(why=f"no values of {column} are kept of {when}")
    shares: list[Share] = []
    if isinstance(now.summary, Numbers) and isinstance(then.summary, Numbers):
        shares = _of_numbers(then.summary, now.summary)
    elif isinstance(now.summary, Categories) and isinstance(then.summary, Categories):
        if now.summary.counts is None or then.summary.counts is None:
            return Distributions(why="it has more categories than are kept by name")
        shares = _of_counts(then.summary.counts, now.summary.counts)
    if not shares:
        return Distributions(why="there are no values of one kind on both sides")
    return Distributions((*shares, *_missing(then, now)))


def _missing(then: ColumnProfile, now: ColumnProfile) -> list[Share]:
    if not (then.missing or now.missing):
        return []
    return [Share("missing", then.missing / max(then.rows, 1), now.missing / max(now.rows, 1))]


def _of_counts(then: dict[str, int], now: dict[str, int]) -> list[Share]:
    """Categories, the most frequent first."""
    before, after = sum(then.values()) or 1, sum(now.values()) or 1
    names = {*then, *now}
    shares = [Share(name, then.get(name, 0) / before, now.get(name, 0) / after) for name in names]
    shares.sort(key=lambda one: (-max(one.reference, one.current), one.name))
    rest = shares[_MOST:]
    others = Share("others", sum(one.reference for one in rest), sum(one.current for one in rest))
    return [*shares[:_MOST], *([others] if rest else [])]


def _of_numbers(then: Numbers, now: Numbers) -> list[Share]:
    if not (then.digest.count and now.digest.count):
        return []
    if then.values is not None and now.values is not None and len({*then.values, *now.values}) <= _MOST:
        values = sorted({*then.values, *now.values})
        before, after = then.digest.count, now.digest.count
        return [Share(f"{v:g}", then.values.get(v, 0) / before, now.values.get(v, 0) / after) for v in values]
    sides = (then.digest, now.digest)
    low = min(side.quantile(_TAIL) for side in sides)
    high = max(side.quantile(1 - _TAIL) for side in sides)
    width = (high - low) / _BINS
    edges = [low + width * number for number in range(1, _BINS)] if width > 0 else [low]
    below = [[0.0, *(side.counts_below(key_of(edges))[0] / side.count), 1.0] for side in sides]
    names = [f"< {edges[0]:.3g}", *(f"{edge:.3g}" for edge in edges[:-1]), f"\u2265 {edges[-1]:.3g}"]
    return [
        Share(name, float(below[0][place + 1] - below[0][place]), float(below[1][place + 1] - below[1][place]))
        for place, name in enumerate(names)
    ]
