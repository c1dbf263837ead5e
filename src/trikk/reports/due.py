"""Which moment of a report's schedule is to be made. Pure.

Subject `report/NAME/schedule`:
schedule.began   schedule, timezone: its moments count from here on
schedule.due     schedule, timezone, tick, period, missed (periods), times (how many moments were missed)
schedule.ended   the report has no schedule any more

The last entry tells everything. A moment's attempts are entries of `tick/report/NAME/MOMENT`, which
`trikk.execution.once` writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from trikk.core.cron import last_tick, ticks
from trikk.core.values import JSON
from trikk.monitoring.windows import zone_of
from trikk.reports.definition import ReportSpec
from trikk.reports.periods import last_complete
from trikk.runs.ledger import Entry

BEGAN, DUE, ENDED = "schedule.began", "schedule.due", "schedule.ended"
MISSED_AT_MOST = 100
"""How many missed moments are counted."""


@dataclass(frozen=True, slots=True)
class Due:
    """A moment that has come, the newest one.

    Attributes:
        tick: the moment, in UTC.
        period: the label of the period that the report is for.
        missed: labels of other periods whose moments were missed.
        times: how many moments were missed, `MISSED_AT_MOST` for more as well.
    """

    tick: datetime
    period: str
    missed: tuple[str, ...] = ()
    times: int = 0

    @classmethod
    def read(cls, entry: Entry | None) -> Due | None:
        """The moment that is to be made by the last entry of a schedule; None if none is."""
        return None if entry is None else cls.of(entry.kind, entry.body)

    @classmethod
    def of(cls, kind: str, body: Mapping[str, Any]) -> Due | None:
        """The moment that an entry tells of, if it is one of kind `DUE`."""
        if kind != DUE:
            return None
        return cls(datetime.fromisoformat(body["tick"]), body["period"], tuple(body["missed"]), body["times"])


def schedule_of(report: str) -> str:
    """The ledger's subject of a report's schedule."""
    return f"report/{report}/schedule"


def tick_of(report: str, due: Due) -> str:
    """The ledger's subject of one moment's attempts."""
    return f"tick/report/{report}/{due.tick:%Y%m%dT%H%M%SZ}"


def next_entry(
    spec: ReportSpec | None, held: Entry | None, now: datetime, *, is_done: bool = True
) -> tuple[str, dict[str, JSON]] | None:
    """What is to be written down of a schedule; None if nothing is new.

    Args:
        spec: the report; None if it is not declared any more.
        held: the last entry.
        now: the time, with its zone.
        is_done: whether the moment that `held` tells of has been made; if not, it is missed when another comes.

    Returns:
        The entry's kind and body.
    """
    if spec is None or not spec.schedule:
        return None if held is None or held.kind == ENDED else (ENDED, {})
    line: dict[str, JSON] = {"schedule": spec.schedule, "timezone": spec.timezone}
    since = _since(line, held)
    if since is None:
        return BEGAN, line
    zone = zone_of(spec.timezone)
    tick = last_tick(spec.schedule, zone, since, now)
    if tick is None:
        return None
    missed = [found for found in islice(ticks(spec.schedule, zone, since, tick), MISSED_AT_MOST) if found < tick]
    if not is_done and (before := Due.read(held)):
        missed = [before.tick, *missed]
    period = last_complete(spec.period, tick, zone).label
    others: list[JSON] = [*dict.fromkeys(last_complete(spec.period, one, zone).label for one in missed)]
    told: dict[str, JSON] = {"missed": [one for one in others if one != period], "times": len(missed)}
    return DUE, {**line, "tick": tick.isoformat(), "period": period, **told}


def _since(line: Mapping[str, JSON], held: Entry | None) -> datetime | None:
    """Since when a schedule is to be looked at; None if it begins, or is not the one that was held."""
    if held is None or held.kind == ENDED or any(held.body[key] != value for key, value in line.items()):
        return None
    return datetime.fromtimestamp(held.at, UTC)


def next_moment(spec: ReportSpec, now: datetime) -> datetime | None:
    """When a report comes due next, in its own zone; None without a schedule."""
    if not spec.schedule:
        return None
    zone = zone_of(spec.timezone)
    tick = next(ticks(spec.schedule, zone, now), None)
    return None if tick is None else tick.astimezone(zone)
