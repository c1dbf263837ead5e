"""Which data did not come: from the newest time of each device to readings. Pure.

A table is a cause, and each value of the rule's slice is one. When more than half of at least `MANY` values are
silent, that is one cause, the table: those that are silent then are not told one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from trikk.alerts.delivery.times import lasting, moment
from trikk.alerts.rules.reading import Point, Reading
from trikk.alerts.rules.rule import Rule
from trikk.core.text import printable, shorten
from trikk.core.values import JSON

MANY = 10
_LONGEST = 63


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a table's rows.

    Attributes:
        first: when the rule was looked at for the first time, seconds since 1970, as are the other times.
        version: the table's version up to which its rows were read; None if there is no table.
        times: the newest time of each value of the slice, in whole seconds; of "" for a rule without a slice.
        until: rows that are dated later were not believed.
        ahead: whether there are such rows.
    """

    first: float
    version: int | None = None
    times: Mapping[str, int] = field(default_factory=dict)
    until: float = 0.0
    ahead: bool = False

    def to_json(self) -> dict[str, JSON]:
        """What is known as JSON."""
        found: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        return {**found, "times": dict(self.times)}

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Known:
        """What `to_json` wrote."""
        return cls(**{name: data[name] for name in cls.__slots__ if name in data})


def newer(times: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """The newest time of each value of either; nothing that was seen is taken back."""
    return {**times, **{value: max(at, times.get(value, at)) for value, at in more.items()}}


def readings(rule: Rule, known: Known, now: float, zone: str) -> list[Reading]:
    """What a rule sees of a table.

    Args:
        rule: of the kind `SILENT`.
        known: the newest times.
        now: the time, seconds since 1970.
        zone: the time zone of the times in texts.
    """
    if not rule.slice:
        return [_of_table(rule, known, now, zone)]
    there = {value: at for value, at in known.times.items() if now - at <= rule.known_for}
    silent = sum(now - at > rule.within for at in there.values())
    is_mass = len(there) >= MANY and 2 * silent > len(there)
    if not there:
        whole = _of_table(rule, known, now, zone)
    else:
        whole = _of_many(rule, known, now, silent, len(there), bad=is_mass)
    return [whole, *_of_values(rule, known.times, now, zone, but_silent=is_mass)]


def _of_table(rule: Rule, known: Known, now: float, zone: str) -> Reading:
    """The table as a whole: how old its newest row is, or for how long there has been none."""
    newest = max(known.times.values(), default=None)
    since = known.first if newest is None else newest
    bad = now - since > rule.within
    if known.version is None:
        text = f"there is no table {rule.table}"
    elif newest is None:
        text = f"table {rule.table} has no row"
    else:
        text = f"{'no row since' if bad else 'its newest row is of'} {moment(newest, zone)}"
    facts: dict[str, JSON] = {"table": rule.table, "expected within": lasting(rule.within)}
    point = Point(_mark(newest), since, since, bad, text, float(bad), facts)
    return Reading(rule, rule.table, f"{rule.table}: no data for more than {lasting(rule.within)}", (point,))


def _of_many(rule: Rule, known: Known, now: float, silent: int, expected: int, *, bad: bool) -> Reading:
    """The table as a whole, by how many of its values are silent."""
    said = f"{silent:,} of {expected:,} silent"
    newest = max(known.times.values())
    late = sorted(at for at in known.times.values() if now - rule.known_for <= at < now - rule.within)
    facts: dict[str, JSON] = {"table": rule.table, "silent": said, "expected within": lasting(rule.within)}
    start = float(late[len(late) // 2]) if late else float(newest)
    text = f"by {rule.slice}, {said}"
    point = Point(_mark(newest), start, float(newest), bad, text, float(silent) if bad else 0.0, facts)
    return Reading(rule, rule.table, f"{rule.table}: {said}, by {rule.slice}", (point,))


def _of_values(
    rule: Rule, times: Mapping[str, int], now: float, zone: str, *, but_silent: bool
) -> Iterator[Reading]:
    """Each value; those that are silent are left out if they are told as one."""
    for value, at in times.items():
        age = now - at
        bad = rule.within < age <= rule.known_for
        if bad and but_silent:
            continue
        if age > rule.known_for:
            text = f"not seen for {lasting(rule.known_for)}, no longer expected"
        else:
            text = f"{'no row since' if bad else 'its newest row is of'} {moment(at, zone)}"
        name = _shown(value)
        facts: dict[str, JSON] = {
            "table": rule.table,
            rule.slice: name,
            "expected within": lasting(rule.within),
        }
        point = Point(_mark(at), float(at), float(at), bad, text, float(bad), facts)
        title = f"{rule.table}: {rule.slice} {name} silent for more than {lasting(rule.within)}"
        yield Reading(rule, rule.table, title, (point,), (rule.slice, value))


def _mark(at: int | None) -> str:
    return "none" if at is None else str(at)


def _shown(value: str) -> str:
    """A value from a table as it can stand in a line."""
    return shorten(printable(value), _LONGEST) or '""'
