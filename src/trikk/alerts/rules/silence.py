"""Data that did not come: from the newest time of each device to readings.

A table is a cause, and each value of the rule's slice is one. When more than half of at least `MANY` values are
silent, that is one cause, the table: those that are silent then are not told one by one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import ClassVar, Self

from msgspec.structs import replace

from trikk.alerts.rules.rule import Kind, Point, Reading, Rule, Scene
from trikk.alerts.rules.silence_times import Known, Source, known_by
from trikk.core.durations import lasting
from trikk.core.names import check_name
from trikk.core.text import printable, shorten
from trikk.core.values import JSON
from trikk.core.zones import local_text

MANY = 10
_LONGEST = 63
_KNOWN_FOR = 30 * 86400.0


class SilenceRule(Rule, frozen=True, kw_only=True):
    """Bad is a table, or a device in it, of which no new row has come for too long."""

    kind: ClassVar[Kind] = Kind.SILENT
    about: ClassVar[str] = "table"

    table: str = ""  # whose rows must go on coming
    time: str = ""  # its column with the rows' times
    within: float = 0.0  # seconds that may have passed since the newest row
    slice: str = ""  # a column: each of its values is a cause of its own
    # seconds after which a value of `slice` that is not seen any more is no longer expected
    known_for: float = 0.0

    @property
    def sliced_by(self) -> str:
        """The column whose values are causes of their own; "" for none."""
        return self.slice

    def with_defaults(self, written: Collection[str]) -> Self:
        """The rule with what holds where somebody has written nothing: devices are known for 30 days."""
        rule = super().with_defaults(written)
        return replace(rule, known_for=_KNOWN_FOR) if self.slice and "known_for" not in written else rule

    def check(self) -> None:
        """Check that the rule can work; UsageError if not."""
        if not (self.table and self.time and self.within):
            problem = "needs a table, its column with times, and how old the newest row may be"
            self.refuse(problem, 'table = "readings", time = "at", within = "2h"')
        check_name("table", self.table)
        if self.windows > 1:
            self.refuse("takes no `windows`", "give it more time: within")
        if self.known_for and not self.slice:
            self.refuse("takes `known_for` with `slice` only", 'slice = "device", or leave out known_for')
        if self.slice and self.known_for <= self.within:
            problem = f"forgets a {self.slice} before it is silent for too long"
            self.refuse(problem, "make known_for longer than within")

    @property
    def source(self) -> Source:
        """What is read of the table."""
        return Source(self.name, self.table, self.time, self.slice, self.known_for)

    def readings(self, scene: Scene, subject: str) -> list[Reading]:  # noqa: ARG002 - it has one table
        """The table as a whole, and each value of the slice.

        Raises:
            UsageError: if the table does not have the columns, or the slice has too many values.
        """
        now = scene.now.timestamp()
        known = known_by(scene.project, self.source, now)
        return self.judge(known, now, scene.project.settings.timezone)

    def judge(self, known: Known, now: float, zone: str) -> list[Reading]:
        """What the newest times come to. Pure."""
        if not self.slice:
            return [_of_table(self, known, now, zone)]
        expected = {value: at for value, at in known.times.items() if now - at <= self.known_for}
        silent = sum(now - at > self.within for at in expected.values())
        # a broker that is down would be an incident for each device: they are told as one, and their own wait
        is_mass = len(expected) >= MANY and 2 * silent > len(expected)
        if not expected:
            whole = _of_table(self, known, now, zone)
        else:
            whole = _of_many(self, known, now, silent, len(expected), bad=is_mass)
        return [whole, *_of_values(self, known.times, now, zone, but_silent=is_mass)]

    def commands(self, subject: str, point: Point | None, go_on: str = "") -> list[str]:  # noqa: ARG002
        """The table."""
        return [f"trikk tables {subject}"]


def _of_table(rule: SilenceRule, known: Known, now: float, zone: str) -> Reading:
    """The table as a whole: how old its newest row is, or for how long there has been none."""
    newest = max(known.times.values(), default=None)
    since = known.first if newest is None else newest
    bad = now - since > rule.within
    if known.version is None:
        text = f"there is no table {rule.table}"
    elif newest is None:
        text = f"table {rule.table} has no row"
    else:
        text = f"{'no row since' if bad else 'its newest row is of'} {local_text(newest, zone)}"
    facts: dict[str, JSON] = {"table": rule.table, "expected within": lasting(rule.within)}
    point = Point(_mark(newest), since, since, bad, text, float(bad), facts)
    return Reading(rule, rule.table, f"{rule.table}: no data for more than {lasting(rule.within)}", (point,))


def _of_many(rule: SilenceRule, known: Known, now: float, silent: int, expected: int, *, bad: bool) -> Reading:
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
    rule: SilenceRule, times: dict[str, int], now: float, zone: str, *, but_silent: bool
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
            text = f"{'no row since' if bad else 'its newest row is of'} {local_text(at, zone)}"
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
