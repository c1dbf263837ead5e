"""What a rule sees of one cause: a row of points, oldest first, each good or bad. All that is watched ends here.

A kind of rule is a function from the project and the rule to readings (`trikk.alerts.rules.sources.KINDS`);
everything after that, from opening an incident to a mail, knows readings only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trikk.alerts.rules.rule import Rule
from trikk.core.values import JSON


@dataclass(frozen=True, slots=True)
class Point:
    """One window, run or deadline, judged.

    Attributes:
        mark: names it: a window's label, a run's id, a day.
        start: since when it has been so, seconds since 1970.
        at: the end of the time that it stands for, seconds since 1970; points are in this order.
        bad: whether the rule's condition holds.
        text: in words, such as "wape 0.346 (limit 0.3)".
        badness: how bad, where more is worse and 0 is good; only ever compared.
        unit: what `badness` is measured in, where that has changed since incidents were first written down.
        facts: what people and programs want to know; values are texts and numbers.
    """

    mark: str
    start: float
    at: float
    bad: bool
    text: str
    badness: float = 0.0
    facts: Mapping[str, JSON] = field(default_factory=dict)
    unit: str = ""

    def to_json(self) -> dict[str, JSON]:
        """The point as JSON."""
        found: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        return {**found, "facts": dict(self.facts)}

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Point:
        """The point that `to_json` wrote."""
        return cls(**{name: data[name] for name in cls.__slots__ if name in data})


@dataclass(frozen=True, slots=True)
class Reading:
    """The points of one cause.

    Attributes:
        rule: the rule.
        subject: the monitor or the pipeline.
        part: a slice of it, as (column, value); None for all of it.
        title: what is wrong, if it is, such as "people: wape is too high".
        points: oldest first.
        unknown: why the newest window makes no point although it was looked at; "" if it does.
    """

    rule: Rule
    subject: str
    title: str
    points: tuple[Point, ...]
    part: tuple[str, str] | None = None
    unknown: str = ""

    @property
    def cause(self) -> str:
        """What incidents are kept apart by."""
        return cause(self.rule, self.subject, self.part)

    @property
    def bad(self) -> int:
        """How many points in a row were bad, up to the last."""
        return self._last(wanted=True)

    @property
    def good(self) -> int:
        """How many points in a row were good, up to the last."""
        return self._last(wanted=False)

    def _last(self, *, wanted: bool) -> int:
        count = 0
        for point in reversed(self.points):
            if point.bad is not wanted:
                break
            count += 1
        return count


def cause(rule: Rule, subject: str, part: tuple[str, str] | None = None) -> str:
    """The name of a cause: "people.loss", or "people.loss.sensor.North" for a slice.

    Names have no dot, so that two causes never share one; a slice's value that is no name becomes a digest.
    """
    plain = f"{subject}.{rule.name}"
    if part is None:
        return plain
    from trikk.core.digests import digest_json

    column, value = (
        text if text.replace("_", "").isalnum() and text.isascii() else f"x-{digest_json(text)[:12]}"
        for text in part
    )
    return f"{plain}.{column}.{value}"
