"""Which moment of a report's schedule is to be made. Pure.

Subject `report/NAME/schedule`:
schedule.began   schedule, timezone: its moments count from here on
schedule.due     schedule, timezone, tick, period, missed (periods), times (how many moments were missed), empty
schedule.ended   the report has no schedule any more

The last entry tells everything. A moment's attempts are entries of `tick/report/NAME/MOMENT`, which
`trikk.execution.once` writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from trikk.core.cron import last_tick, ticks
from trikk.core.values import JSON
from trikk.monitoring.cases.windows import zone_of
from trikk.reports.periods import Period, last_complete
from trikk.reports.report_definition import ReportSpec
from trikk.runs.journals.ledger import Entry

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
        if kind != DUE or body.get("empty"):
            return None
        return cls(datetime.fromisoformat(body["tick"]), body["period"], tuple(body["missed"]), body["times"])


def schedule_of(report: str) -> str:
    """The ledger's subject of a report's schedule."""
    return f"report/{report}/schedule"


def tick_of(report: str, due: Due) -> str:
    """The ledger's subject of one moment's attempts."""
    return f"tick/report/{report}/{due.tick:%Y%m%dT%H%M%SZ}"


def next_entry(
    spec: ReportSpec | None,
    held: Entry | None,
    now: datetime,
    *,
    is_done: bool = True,
    has_figures: Callable[[Period], bool] = lambda _: True,
) -> tuple[str, dict[str, JSON]] | None:
    """What is to be written down of a schedule; None if nothing is new.

    The newest moment is to be made. If nobody looked during its period, it is the newest one whose period has
    figures: a first look long after a backfill makes no page of an empty month. If none has, that is written down
    (`empty`).

    Args:
        spec: the report; None if it is not declared any more.
        held: the last entry.
        now: the time, with its zone.
        is_done: whether the moment that `held` tells of has been made; if not, it is missed when another comes.
        has_figures: whether there is anything to be told of a period.

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
    came = [found for found in islice(ticks(spec.schedule, zone, since, tick), MISSED_AT_MOST) if found < tick]
    period = last_complete(spec.period, tick, zone)
    is_regular = not came and period.start <= since
    if not is_done and (before := Due.read(held)):
        came = [before.tick, *came]
    chosen: datetime | None = tick
    if not is_regular and not has_figures(period):
        chosen = next((one for one in came[::-1] if has_figures(last_complete(spec.period, one, zone))), None)
    is_empty, chosen = chosen is None, chosen or tick
    label = last_complete(spec.period, chosen, zone).label
    missed = [one for one in came if one < chosen]
    others: list[JSON] = [*dict.fromkeys(last_complete(spec.period, one, zone).label for one in missed)]
    told: dict[str, JSON] = {"missed": [one for one in others if one != label], "times": len(missed)}
    if is_empty:
        told["empty"] = True
    return DUE, {**line, "tick": chosen.isoformat(), "period": label, **told}


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
