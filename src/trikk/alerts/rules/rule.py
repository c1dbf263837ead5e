"""What all kinds of rules have in common, and the readings that they give.

A kind of rule is a class: its fields, which values they may have, what it looks at, and how it makes readings of
that. Everything after a reading, from opening an incident to a mail, is the same for all. To add a kind, write its
class and list it in `trikk.alerts.rules.kinds`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

from msgspec import field
from msgspec.structs import replace

from trikk.core.errors import TrikkError, UnknownName, UsageError
from trikk.core.record import Record
from trikk.core.values import JSON

if TYPE_CHECKING:
    from trikk.core.settings import Settings
    from trikk.execution.project import Project
    from trikk.runs.journals.server_beats import Server

DAY = 86400.0
SOON = 1800.0
"""The cool-down of rules on servers and code, in seconds.

Some show for an hour what is over: with a longer one, what comes again within it would never be told.
"""
_ABOUT = ("monitor", "pipeline", "table", "trigger", "stream")


class Severity(StrEnum):
    """How bad an incident is, the worst first."""

    ALARM = "alarm"
    WARNING = "warning"
    INFO = "info"


class Kind(StrEnum):
    """The kinds of rules, as authors write them."""

    FIGURES = "figures"
    FAILED = "run failed"
    MISSING = "run did not come"
    GATE = "gate warned"
    LONG = "took longer than"
    COST = "cost more than"
    SILENT = "data did not come"
    CODE = "code does not load"
    LABELS = "labels overdue"
    DRIFT = "drift"
    TICK = "trigger did not come"
    USUAL = "took longer than usual"
    WAITS = "waits longer than"
    ASKS = "waits for a decision"
    AWAY = "server away"
    TROUBLE = "server in trouble"
    SET_ASIDE = "message set aside"
    LATE = "stream late"
    UNPUBLISHED = "nothing was published"
    UNKNOWN = "unknown"
    """One that only a newer trikk knows."""


class Point(Record, frozen=True):
    """One window, run or deadline, judged."""

    mark: str  # names it: a window's label, a run's id, a day
    start: float  # since when it has been so, seconds since 1970
    at: float  # the end of the time that it stands for, seconds since 1970; points are in this order
    bad: bool  # whether the rule's condition holds
    text: str  # in words, such as "wape 0.346 (limit 0.3)"
    badness: float = 0.0  # how bad, where more is worse and 0 is good; only ever compared
    # what people and programs want to know; values are texts and numbers
    facts: dict[str, Any] = field(default_factory=dict)
    unit: str = ""  # what `badness` is measured in, where that has changed since incidents were first written down

    @property
    def run(self) -> str:
        """The run that was bad; "" if it is not a run, or a good one."""
        return str(self.facts.get("run", "")) if self.bad else ""


@dataclass(frozen=True, slots=True)
class Scene:
    """What there is to look at, at one time."""

    project: Project
    now: datetime  # the time, with its zone
    monitors: Sequence[str] = ()  # names of the monitors that the project declares
    pipelines: Sequence[str] = ()  # names of the project's pipelines
    evaluated: Collection[str] = ()  # names of the monitors that were ever evaluated
    # why the project's code can't be loaded, if it can't: names are those that are known from before
    broken: TrikkError | None = None
    servers: Sequence[Server] = ()  # that are known, those that are gone too
    living: Sequence[Server] = ()  # those of them that are there


class Rule(Record, frozen=True, kw_only=True):
    """When something is wrong, and what follows from it.

    Itself it stands for a rule of a kind that only a newer trikk knows.
    """

    kind: ClassVar[Kind] = Kind.UNKNOWN
    about: ClassVar[str] = ""
    """What it can name as its subject: a monitor, a pipeline, a table, a trigger; "" if about the project."""
    needs_subject: ClassVar[bool] = False
    """Whether it makes no sense without one."""
    clearly_worse: ClassVar[float] = 1.1
    """By what factor something must be worse than was told before it is told again."""
    worse: ClassVar[str] = "worse than was told"
    """What is said when that is so."""
    reads_every_part: ClassVar[bool] = False
    """Whether it looks at the values of its slice in place of the whole, so that one it does not see has gone."""

    name: str  # unique among the rules of a monitor or of the project
    windows: int = 1  # how many points in a row must be bad to open an incident, and good to resolve it
    severity: Severity = Severity.ALARM  # of its incidents
    starts: str = ""  # a pipeline to run, once for each opening; "" for none
    parameters: dict[str, Any] = field(default_factory=dict)  # of that pipeline
    # seconds between two messages on one incident, and before the same cause opens another
    cooldown: float = 6 * 3600.0
    # seconds unresolved and not acknowledged after which it is told again; 0 for never
    escalate_after: float = 0.0

    @property
    def subject(self) -> str:
        """What it names as its subject; "" if it is about any."""
        return str(getattr(self, self.about, ""))

    @property
    def sliced_by(self) -> str:
        """The column whose values are causes of their own; "" for none."""
        return ""

    @property
    def figures(self) -> frozenset[str]:
        """The names of the figures that it judges."""
        return frozenset()

    def to_json(self) -> dict[str, JSON]:
        """The rule as JSON, with the keys of all kinds: those of another kind have the value that says nothing.

        Graphs hold rules and are digested: with a key more or less the same code would be another pipeline.
        """
        # The order of keys does not count in digests; which keys there are does.
        return {**_WITHOUT_MEANING, **super().to_json(), "kind": self.kind.value}

    def with_defaults(self, written: Collection[str]) -> Self:
        """The rule with what holds where somebody has written nothing, if it depends on what they have written."""
        # Only alarms are told again by themselves: a warning that nobody answers is no emergency.
        if self.severity != Severity.ALARM or "escalate_after" in written:
            return self
        return replace(self, escalate_after=DAY)

    @classmethod
    def check_keys(cls, given: Mapping[str, Any]) -> None:
        """Refuse what is about another subject, or no option of this kind.

        Raises:
            UsageError: if there is such a key.
        """
        name = f"rule {given['name']} ({cls.kind})"
        for named in _ABOUT:
            if named != cls.about and given.get(named):
                subject = f"a {cls.about}" if cls.about else "the project"
                mend = f"name a {cls.about}" if cls.about else f"leave out {named}"
                raise UsageError(f"{name} is about {subject}, not a {named}", next=mend)
        if given.get("when") and "when" not in cls.__struct_fields__:
            raise UsageError(f"{name} takes no `when`", next="leave out kind, or when")

    def check(self) -> None:
        """Check that the rule can work.

        Raises:
            UsageError: if it can't.
        """

    def refuse(self, problem: str, mend: str) -> NoReturn:
        """Raise UsageError that says what is wrong with the rule."""
        raise UsageError(f"rule {self.name} ({self.kind}) {problem}", next=mend)

    def lack(self, settings: Settings) -> str:  # noqa: ARG002 - of costs
        """What it needs and the project does not have, in words; "" if nothing."""
        return ""

    def subjects(self, scene: Scene) -> Sequence[str]:  # noqa: ARG002 - of the kinds that look around
        """What it looks at: what it names, or all that there are.

        Raises:
            UnknownName: if what it names is not there.
        """
        return [self.subject]

    def readings(self, scene: Scene, subject: str) -> list[Reading]:  # noqa: ARG002 - of the kinds that are known
        """What it sees of a subject.

        Raises:
            TrikkError: if it can't be judged.
        """
        raise UsageError("its kind is not known here", next="use a newer trikk")

    def commands(self, subject: str, point: Point | None, go_on: str = "") -> list[str]:  # noqa: ARG002
        """What to do about an incident, as commands."""
        return []


# 30 is what min_labelled has always been in the JSON of rules that are not on monitors
_WITHOUT_MEANING: dict[str, JSON] = {
    "name": "",
    "kind": "",
    "monitor": "",
    "pipeline": "",
    "when": "",
    "window": "",
    "slice": "",
    "windows": 1,
    "severity": "",
    "starts": "",
    "parameters": {},
    "cooldown": 0.0,
    "escalate_after": 0.0,
    "min_labelled": 30,
    "by": "",
    "budget": 0.0,
    "costs_more_than": 0.0,
    "per": "",
    "table": "",
    "time": "",
    "within": 0.0,
    "known_for": 0.0,
}
KEYS = frozenset(_WITHOUT_MEANING) - {"budget"} | {"longer_than", "trigger", "stream"}
"""What somebody can write of a rule."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a rule sees of one cause: a row of points, each good or bad."""

    rule: Rule
    subject: str  # the monitor, pipeline or table
    title: str  # what is wrong, if it is, such as "people: wape is too high"
    points: tuple[Point, ...]  # oldest first
    part: tuple[str, str] | None = None  # a slice of it, as (column, value); None for all of it
    unknown: str = ""  # why the newest window makes no point although it was looked at; "" if it does

    @property
    def cause(self) -> str:
        """What incidents are kept apart by."""
        return cause(self.rule, self.subject, self.part)

    @property
    def bad(self) -> int:
        """How many points in a row were bad, up to the last."""
        return streak(point.bad for point in reversed(self.points))[0]

    @property
    def good(self) -> int:
        """How many points in a row were good, up to the last."""
        return streak(point.bad for point in reversed(self.points))[1]


def streak(newest_first: Iterable[bool]) -> tuple[int, int]:
    """How many points in a row were bad up to the last, and how many good; one of the two is 0."""
    count, newest = 0, None
    for is_bad in newest_first:
        if newest is None:
            newest = is_bad
        elif is_bad is not newest:
            break
        count += 1
    return (count, 0) if newest else (0, count)


def cause(rule: Rule, subject: str, part: tuple[str, str] | None = None) -> str:
    """The name of a cause: "people.loss", or "people.loss.sensor.North" for a slice.

    Names have no dot, so that two causes never share one; a slice's value that is not a name becomes a digest.
    """
    plain = f"{subject}.{rule.name}"
    if part is None:
        return plain
    from trikk.core.digests import digest_json

    # a digest begins with x-, and a name has no hyphen, so that no value can pass for another's digest
    column, value = (
        text if text.replace("_", "").isalnum() and text.isascii() else f"x-{digest_json(text)[:12]}"
        for text in part
    )
    return f"{plain}.{column}.{value}"


def among(rule: Rule, names: Sequence[str]) -> Sequence[str]:
    """The rule's subject if it names one, else all of these.

    Raises:
        UnknownName: if it is not one of them.
    """
    if not rule.subject:
        return names
    if rule.subject not in names:
        raise UnknownName(rule.about, rule.subject, names)
    return [rule.subject]
