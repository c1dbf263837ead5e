"""What a gate checks: small values that an author writes, with nothing computed yet.

What a check says is plain data wherever it can be, so that it stands in the pipeline's graph: a changed limit is a
changed argument of the gate's step. Only what is not plain data (an expression, a function, a schema) is kept.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias

from trikk.core.errors import DefinitionError
from trikk.pipeline.location import caller
from trikk.pipeline.symbols import Symbol

if TYPE_CHECKING:
    from trikk.quality.plan import Plan, Scene, Seen


class Severity(StrEnum):
    """What a failure means."""

    INFO = "info"
    """it is told."""
    WARN = "warn"
    """it marks the gate."""
    BLOCK = "block"
    """it stops the run."""


SeverityName: TypeAlias = Literal["info", "warn", "block"]
"""How an author writes a severity."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to hold of some rows; made by the functions of `trikk.quality`.

    Each kind is a class of its own, which adds its limits, sets, patterns and references as fields: plain values,
    or stand-ins for what a run will have.

    Attributes:
        columns: the columns it looks at.
        severity: what a failure means.
        allow: the share of the rows, 0 to 1, that may fail.
        name: how results call it.
        what: the expression, function, schema or suite of a check that is no plain data.
        kind: the name of the function that makes it.
        optional: fields of its kind that are left out of its JSON where they are None.
    """

    columns: tuple[str, ...] = ()
    severity: Severity | SeverityName = Severity.BLOCK
    allow: float = 0.0
    name: str = ""
    what: Any = field(default=None, compare=False, kw_only=True)
    kind: ClassVar[str] = ""
    optional: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if self.severity not in [*Severity]:
            raise refused(f"severity={self.severity!r}", 'use "info", "warn" or "block"')
        object.__setattr__(self, "severity", Severity(self.severity))
        # 1 would let everything pass, and is refused: such a check says nothing.
        if not is_open(self.allow) and not (is_number(self.allow) and 0 <= self.allow < 1):
            raise refused(f"allow={self.allow!r}", "give the share of rows that may fail, 0 to less than 1")
        if not all(isinstance(column, str) and column for column in self.columns):
            raise refused(f"{self.kind} is given {self.columns!r} as columns", "give names of columns")
        if not isinstance(self.name, str):
            raise refused(f"name={self.name!r}", "give a text")
        object.__setattr__(self, "name", self.name or f"{self.kind}({', '.join(self.columns)})")

    @property
    def settings(self) -> dict[str, Any]:
        """The fields of this kind."""
        given = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in _COMMON}
        return {name: value for name, value in given.items() if value is not None or name not in self.optional}

    def to_json(self) -> dict[str, Any]:
        """The check as data for the pipeline's graph; stand-ins and tables stay what they are."""
        return {
            "kind": self.kind,
            "columns": list(self.columns),
            "settings": self.settings,
            "severity": str(self.severity),
            "allow": self.allow,
            "name": self.name,
        }

    @classmethod
    def of_json(cls, data: Mapping[str, Any], what: object = None) -> Self:
        """The check of this kind that `to_json` wrote, with the object that is not plain data."""
        common = {name: data[name] for name in ("severity", "allow", "name")}
        return cls(tuple(data["columns"]), **common, **cls._fields_of(data["settings"]), what=what)

    @classmethod
    def _fields_of(cls, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """The fields of this kind, from `settings`."""
        return settings


_COMMON = {one.name for one in fields(Check)}


@dataclass(frozen=True, slots=True)
class CountedCheck(Check):
    """A check that says itself what to count of the rows, and what that means."""

    needs_rows: ClassVar[bool] = True  # whether there is nothing to say where there are no rows

    def expected(self) -> str:
        """What it asks for, in words."""
        from trikk.quality.result_texts import share_text

        text = self._asks()
        return f"{text}, but for {share_text(self.allow)} of the rows" if self.allow else text

    @abstractmethod
    def _asks(self) -> str:
        """What it asks for, in words, of the rows that may not fail."""

    def plan(self, scene: Scene) -> Plan:
        """How to do it: what to count in the one pass over the rows, and how to find the rows that fail.

        Raises:
            UsageError: if it can't be done with these columns.
        """
        scene.check_columns(self.columns)
        return self._plan(scene)

    @abstractmethod
    def _plan(self, scene: Scene) -> Plan:
        """The plan; the columns are there."""

    def verdict(self, seen: Seen) -> tuple[bool, str]:
        """Whether what was counted passes, and what was observed, in words; the check could run."""
        from trikk.quality.result_texts import share_text

        failing = seen.failing or 0
        detail = f" ({seen.facts['detail']})" if failing and seen.facts.get("detail") else ""
        share = f", {share_text(failing / seen.rows)}" if failing else ""
        return failing <= self.allow * seen.rows, f"{failing:,} of {seen.rows:,} rows fail{share}{detail}"


def some_columns(kind: str, columns: tuple[str, ...]) -> tuple[str, ...]:
    """The columns of a check; DefinitionError if there are none."""
    if not columns:
        raise refused(f"{kind} is given no column", f'name one: {kind}("id")')
    return columns


def reference_rows(value: object) -> object:
    """What rows are compared with; DefinitionError if it can't be rows."""
    if value is None or isinstance(value, str | int | float):
        raise refused(f"the reference is {value!r}", 'give rows: Table("sensors"), or the output of a step')
    return value


def is_open(value: object) -> bool:
    """Whether it is a stand-in for what only a run will know, so that nothing can be said of it yet."""
    return isinstance(value, Symbol)


def is_number(value: object) -> bool:
    """Whether it is a number, and no truth value."""
    # True is an int to Python.
    return isinstance(value, int | float) and not isinstance(value, bool)


def refused(what: str, mend: str) -> DefinitionError:
    """The error for a check that can't work, with the place of the author's call."""
    return DefinitionError(what, where=caller(), next=mend)
