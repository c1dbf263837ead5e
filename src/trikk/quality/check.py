"""What a gate checks: small values that an author writes, with nothing computed yet.

What a check says is plain data wherever it can be, so that it stands in the pipeline's graph: a changed limit is a
changed argument of the gate's step. Only what is no data (an expression, a function, a schema) stays an object.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from trikk.core.durations import Duration, seconds
from trikk.core.errors import DefinitionError, UsageError
from trikk.pipeline.location import caller, first_argument
from trikk.pipeline.symbols import Symbol

Severity = Literal["info", "warn", "block"]
SEVERITIES: tuple[str, ...] = get_args(Severity)
_SHOWN = 60  # characters of a condition that its name holds
PSI = 0.2
"""Above it a distribution has changed for good by the usual reading (Siddiqi, Credit Risk Scorecards, 2006)."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to hold of some rows; made by the functions of this module.

    Attributes:
        kind: the name of the function that made it.
        columns: the columns it looks at.
        settings: its limits, sets, patterns and references: plain values, or stand-ins for what a run will have.
        severity: what a failure means: "info" is told, "warn" marks the gate, "block" stops the run.
        allow: the share of the rows, 0 to 1, that may fail.
        name: how results call it.
        what: the expression, function, schema or suite of a check that is no plain data.
    """

    kind: str
    columns: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    severity: Severity = "block"
    allow: float = 0.0
    name: str = ""
    what: Any = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise _wrong(f"severity={self.severity!r}", 'use "info", "warn" or "block"')
        if not _open(self.allow) and not (_number(self.allow) and 0 <= self.allow < 1):
            raise _wrong(f"allow={self.allow!r}", "give the share of rows that may fail, 0 to less than 1")
        if not all(isinstance(column, str) and column for column in self.columns):
            raise _wrong(f"{self.kind} is given {self.columns!r} as columns", "give names of columns")
        if not isinstance(self.name, str):
            raise _wrong(f"name={self.name!r}", "give a text")
        object.__setattr__(self, "name", self.name or f"{self.kind}({', '.join(self.columns)})")

    def to_json(self) -> dict[str, Any]:
        """The check as data for the pipeline's graph; stand-ins and tables stay what they are."""
        return {
            "kind": self.kind,
            "columns": list(self.columns),
            "settings": dict(self.settings),
            "severity": self.severity,
            "allow": self.allow,
            "name": self.name,
        }

    @classmethod
    def read(cls, data: Mapping[str, Any], what: object = None) -> Check:
        """The check that `to_json` wrote, with the object that is no data."""
        return cls(**{**data, "columns": tuple(data["columns"]), "what": what})


def has_columns(
    columns: Mapping[str, Any] | Iterable[str],
    *,
    only: bool = False,
    severity: Severity = "block",
    name: str = "",
) -> Check:
    """The schema: columns that must be there.

    Args:
        columns: names, or names with polars types (`pl.Int64`, `"Int64"`, `pl.Datetime("us", "UTC")`); a type
            without its details, such as `pl.Datetime`, stands for all of its kind.
        only: whether other columns are a failure.
        severity: what a failure means.
        name: instead of the check's own.

    Raises:
        DefinitionError: if no columns are given.
    """
    typed = isinstance(columns, Mapping)
    names = [columns] if isinstance(columns, str) else list(columns)
    if not names:
        raise _wrong("has_columns is given no columns", 'name some: has_columns(["id", "at"])')
    types = {str(key): str(dtype) for key, dtype in columns.items()} if isinstance(columns, Mapping) else {}
    settings = {"types": types, "only": only} if typed else {"only": only}
    return Check("has_columns", tuple(names), settings, severity, name=name or "has_columns")


def not_null(*columns: str, allow: float = 0.0, severity: Severity = "block", name: str = "") -> Check:
    """No value is missing in any of these columns; a NaN counts as missing."""
    return Check("not_null", _some("not_null", columns), {}, severity, allow, name)


def unique(*columns: str, allow: float = 0.0, severity: Severity = "block", name: str = "") -> Check:
    """No two rows have the same values in these columns together; rows with a null among them do not count.

    Failing are the rows beyond the first of each value.
    """
    return Check("unique", _some("unique", columns), {}, severity, allow, name)


def between(
    column: str,
    low: object = None,
    high: object = None,
    *,
    allow: float = 0.0,
    severity: Severity = "block",
    name: str = "",
) -> Check:
    """Values lie in a range, both ends included; nulls do not count, a NaN fails.

    Args:
        column: numbers, dates, times, durations or texts.
        low: the least value, None for no limit.
        high: the greatest value, None for no limit.
        allow: the share of rows that may fail.
        severity: what a failure means.
        name: instead of the check's own.

    Raises:
        DefinitionError: without any limit, or with the low one above the high one.
    """
    if low is None and high is None:
        raise _wrong("between has no limit", 'give one: between("speed", 0, 130), or between("speed", low=0)')
    if not (low is None or high is None or _open(low) or _open(high)):
        try:
            crossed = bool(low > high)  # type: ignore[operator]
        except TypeError as error:
            raise _wrong(f"between can't compare {low!r} with {high!r}", "give two values of one kind") from error
        if crossed:
            raise _wrong(f"between {low!r} and {high!r} there is nothing", "give the lower limit first")
    return Check("between", (column,), {"low": low, "high": high}, severity, allow, name)


def one_of(
    column: str, values: Iterable[object], *, allow: float = 0.0, severity: Severity = "block", name: str = ""
) -> Check:
    """Values are members of a set; nulls do not count.

    Raises:
        DefinitionError: if the set is empty or a text.
    """
    members: object = values
    if not _open(values):
        members = list(dict.fromkeys(values)) if isinstance(values, Sequence) else sorted(values, key=repr)
        if isinstance(values, str) or not members:
            raise _wrong(f"one_of is given {values!r}", 'give a list: one_of("line", ["1A", "2"])')
    return Check("one_of", (column,), {"values": members}, severity, allow, name)


def matches(
    column: str, pattern: str, *, allow: float = 0.0, severity: Severity = "block", name: str = ""
) -> Check:
    """Texts match a regular expression as a whole; nulls do not count.

    Args:
        column: texts.
        pattern: in the syntax of polars (https://docs.rs/regex): no look-around, no back-references.
        allow: the share of rows that may fail.
        severity: what a failure means.
        name: instead of the check's own.
    """
    return Check("matches", (column,), {"pattern": pattern}, severity, allow, name)


def row_count(
    at_least: int | None = 1, at_most: int | None = None, *, severity: Severity = "block", name: str = ""
) -> Check:
    """The number of rows lies in a range, both ends included; at least one unless told otherwise.

    Raises:
        DefinitionError: without any limit, or with the low one above the high one.
    """
    if at_least is None and at_most is None:
        raise _wrong("row_count has no limit", "give one: row_count(at_least=1000)")
    limits = [v for v in (at_least, at_most) if v is not None and not _open(v)]
    if not all(isinstance(v, int) and not isinstance(v, bool) and v >= 0 for v in limits) or limits != sorted(
        limits
    ):
        raise _wrong(f"row_count({at_least!r}, {at_most!r})", "give whole numbers from 0, the lower one first")
    return Check("row_count", (), {"at_least": at_least, "at_most": at_most}, severity, name=name or "row_count")


def fresh(
    column: str, within: Duration, *, now: object = None, severity: Severity = "block", name: str = ""
) -> Check:
    """The newest time in a column is recent; times that lie in the future do not count.

    Args:
        column: dates or times; times without a zone are taken as UTC, a date as its first moment.
        within: how old the newest may be: "90m", "36h", seconds or a timedelta.
        now: the time to count from, a date or datetime or what will be one in the run; the moment at which the
            run was created if not given, so that a replay comes to the same verdict.
        severity: what a failure means.
        name: instead of the check's own.

    Raises:
        DefinitionError: if `within` is no duration.
    """
    try:
        age = seconds(within, what="within")
    except UsageError as error:
        raise _wrong(error.what, error.next or "") from error
    return Check("fresh", (column,), {"within": age, "now": now}, severity, name=name)


def refers_to(
    columns: str | Sequence[str],
    reference: object,
    to: str | Sequence[str] | None = None,
    *,
    allow: float = 0.0,
    severity: Severity = "block",
    name: str = "",
) -> Check:
    """Every value is found in another table; rows with a null among the columns do not count.

    Args:
        columns: one column, or several that are looked up together.
        reference: a `Table`, the output of a step, or outside of a pipeline a frame.
        to: the columns there, if they are called otherwise.
        allow: the share of rows that may fail.
        severity: what a failure means.
        name: instead of the check's own.

    Raises:
        DefinitionError: if there are not as many columns there as here.
    """
    here = (columns,) if isinstance(columns, str) else tuple(columns)
    there = here if to is None else (to,) if isinstance(to, str) else tuple(to)
    if not here or len(here) != len(there):
        raise _wrong(f"refers_to compares {list(here)} with {list(there)}", "name as many columns there as here")
    settings = {"reference": _reference(reference), "to": list(there)}
    return Check("refers_to", _some("refers_to", here), settings, severity, allow, name)


def like(
    column: str,
    reference: object,
    at_most: float = PSI,
    *,
    measure: Literal["psi", "ks"] = "psi",
    to: str | None = None,
    severity: Severity = "block",
    name: str = "",
) -> Check:
    """The column is distributed as in a reference.

    Args:
        column: numbers, times, texts or booleans (texts and booleans with "psi" only).
        reference: a `Table`, the output of a step, or outside of a pipeline a frame.
        at_most: the greatest distance that passes.
        measure: "psi", the population stability index over ten quantiles of the reference, or over its 20 most
            frequent texts (0.1 is a slight and 0.2 a clear change); "ks", the greatest difference of the two
            distribution functions, 0 to 1 (Kolmogorov and Smirnov).
        to: the column there, if it is called otherwise.
        severity: what a failure means.
        name: instead of the check's own.

    Raises:
        DefinitionError: if the measure is unknown or the limit is no positive number.
    """
    if measure not in ("psi", "ks"):
        raise _wrong(f"measure={measure!r}", 'use "psi" or "ks"')
    if not _open(at_most) and not (_number(at_most) and at_most > 0):
        raise _wrong(f"at_most={at_most!r}", "give a positive number")
    settings = {"reference": _reference(reference), "to": to or column, "at_most": at_most, "measure": measure}
    return Check("like", (column,), settings, severity, name=name)


def seen_in_training(
    model: object, *columns: str, allow: float = 0.0, severity: Severity = "block", name: str = ""
) -> Check:
    """Texts are among those that a registered model was fitted on; nulls do not count.

    They are known of inputs of texts or categories with at most 1,000 different ones, of models that were
    registered with `inputs=` since trikk keeps them; of others the check can't run, and says so.

    Args:
        model: `Model("people@champion")`, what `register_model` returned, or outside of a pipeline a ModelVersion.
        columns: inputs of the model; all of which categories are known, if none is given.
        allow: the share of rows that may fail.
        severity: what a failure means.
        name: instead of the check's own.

    Raises:
        DefinitionError: if no model is given.
    """
    if model is None or isinstance(model, str | int | float):
        raise _wrong(f"seen_in_training is given {model!r}", 'name the model first: Model("people@champion")')
    label = name or f"seen_in_training({', '.join(columns)})"
    return Check("seen_in_training", columns, {"model": model}, severity, allow, label)


def holds(what: object, *, allow: float = 0.0, severity: Severity = "block", name: str = "") -> Check:
    """Something of your own holds.

    Args:
        what: a polars expression that is true for good rows or true for the whole frame
            (`pl.col("arrived") >= pl.col("departed")`); the same as SQL text (`"arrived >= departed"`); or a
            function that is given the rows as a LazyFrame and returns a bool, or a frame of the failing rows. As
            in an SQL CHECK, a null of a row does not fail; one of the whole frame does.
        allow: the share of rows that may fail.
        severity: what a failure means.
        name: how results call it; what is written in the call if not given.

    Raises:
        DefinitionError: if it is none of these.
    """
    if isinstance(what, str):
        return Check("holds", (), {"sql": what}, severity, allow, name or f"holds({what})")
    if type(what).__module__.partition(".")[0] == "polars" and hasattr(what, "meta"):
        text = str(what).replace("dyn int: ", "").replace("dyn float: ", "")
        columns = ", ".join(dict.fromkeys(what.meta.root_names()))
        written = first_argument()
        settings = {"expression": text, "says": written or f"a condition on {columns or 'the rows'}"}
        short = written if written and len(written) <= _SHOWN else columns
        return Check("holds", (), settings, severity, allow, name or f"holds({short})", what)
    if callable(what):
        label = f"{getattr(what, '__module__', '')}:{getattr(what, '__qualname__', type(what).__qualname__)}"
        short = getattr(what, "__name__", "function")
        return Check("holds", (), {"function": label}, severity, allow, name or f"holds({short})", what)
    raise _wrong(f"holds is given {what!r}", "give a polars expression, SQL text or a function of the rows")


def _some(kind: str, columns: tuple[str, ...]) -> tuple[str, ...]:
    if not columns:
        raise _wrong(f"{kind} is given no column", f'name one: {kind}("id")')
    return columns


def _reference(value: object) -> object:
    if value is None or isinstance(value, str | int | float):
        raise _wrong(f"the reference is {value!r}", 'give rows: Table("sensors"), or the output of a step')
    return value


def _open(value: object) -> bool:
    """Whether it is a stand-in for what only a run will know, so that nothing can be said of it yet."""
    return isinstance(value, Symbol)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _wrong(what: str, mend: str) -> DefinitionError:
    return DefinitionError(what, where=caller(), next=mend)
