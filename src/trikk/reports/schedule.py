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
from trikk.core.zones import zone_of
from trikk.reports.periods import Period, last_complete
from trikk.reports.report_definition import ReportSpec
from trikk.runs.journals.ledger import Entry

BEGAN, DUE, ENDED = "schedule.began", "schedule.due", "schedule.ended"
MISSED_AT_MOST = 100
"""How many missed moments are counted."""


@dataclass(frozen=True, slots=True)
class Due:
    """A moment that has come, the newest one."""

    tick: datetime  # the moment, in UTC
    period: str  # the label of the period that the report is for
    missed: tuple[str, ...] = ()  # labels of other periods whose moments were missed
    times: int = 0  # how many moments were missed, `MISSED_AT_MOST` for more as well

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
    last: Entry | None,
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
        last: the last entry.
        now: the time, with its zone.
        is_done: whether the moment that it tells of has been made; if not, it is missed when another comes.
        has_figures: whether there is anything to be told of a period.

    Returns:
        The entry's kind and body.
    """
    # Written down, so that the moments in which there was no schedule are not made up for later.
    if spec is None or not spec.schedule:
        return None if last is None or last.kind == ENDED else (ENDED, {})
    line: dict[str, JSON] = {"schedule": spec.schedule, "timezone": spec.timezone}
    since = _since(line, last)
    if since is None:
        return BEGAN, line
    zone = zone_of(spec.timezone)
    tick = last_tick(spec.schedule, zone, since, now)
    if tick is None:
        return None

    def period_at(moment: datetime) -> Period:
        return last_complete(spec.period, moment, zone)

    passed = [
        # Bounded: `* * * * *` after a year without a look would be half a million moments.
        moment
        for moment in islice(ticks(spec.schedule, zone, since, tick), MISSED_AT_MOST)
        if moment < tick
    ]
    # Somebody has looked all the time: the report is made even if it has nothing to say; people expect it.
    is_regular = not passed and period_at(tick).start <= since
    if not is_done and (unmade := Due.read(last)):
        passed = [unmade.tick, *passed]
    chosen: datetime | None = tick
    if not is_regular and not has_figures(period_at(tick)):
        chosen = next((moment for moment in reversed(passed) if has_figures(period_at(moment))), None)
    due = chosen or tick
    missed = [moment for moment in passed if moment < due]
    label = period_at(due).label
    also: list[JSON] = [*dict.fromkeys(period_at(moment).label for moment in missed)]
    body: dict[str, JSON] = {**line, "tick": due.isoformat(), "period": label}
    body |= {"missed": [earlier for earlier in also if earlier != label], "times": len(missed)}
    return DUE, body if chosen else {**body, "empty": True}


def _since(line: Mapping[str, JSON], last: Entry | None) -> datetime | None:
    """Since when a schedule is to be looked at; None if it begins, or has changed since the last entry."""
    if last is None or last.kind == ENDED or any(last.body[key] != value for key, value in line.items()):
        return None
    return datetime.fromtimestamp(last.at, UTC)  # when somebody looked last and wrote; moments until then are told


def next_moment(spec: ReportSpec, now: datetime) -> datetime | None:
    """When a report comes due next, in its own zone; None without a schedule."""
    if not spec.schedule:
        return None
    zone = zone_of(spec.timezone)
    tick = next(ticks(spec.schedule, zone, now), None)
    return None if tick is None else tick.astimezone(zone)
