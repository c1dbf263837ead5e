"""From a check to polars: what to count in the one pass over the rows, and how to find the rows that fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from trikk.core.errors import UsageError
from trikk.models.calling.trained_categories import known_categories, unseen
from trikk.models.version import as_version
from trikk.quality.check import Check
from trikk.quality.check_verdict import Seen, in_short
from trikk.quality.distribution import distance
from trikk.quality.row_frames import FAILURES, lazy_of

Values = Mapping[str, Any]
TIMES = "times"
"""The column of a sample of repeated values that says how often each is there."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a check is planned against: the rows, their schema, and the moment that counts as now (UTC)."""

    rows: pl.LazyFrame
    schema: Mapping[str, pl.DataType]
    now: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """How one check is done.

    Attributes:
        counts: aggregates by name, for the pass that all checks share.
        read: from their values and the number of rows to what was seen.
        failing: the failing rows, lazily, at most so many.
        bad: true for a row that fails, where the check is one of single rows.
        key: the columns of which no two rows may have the same values.
    """

    read: Callable[[Values, int], Seen]
    counts: Mapping[str, pl.Expr] = field(default_factory=dict)
    failing: Callable[[pl.LazyFrame, int], pl.LazyFrame] | None = None
    bad: pl.Expr | None = None
    key: tuple[str, ...] = ()


def plan(check: Check, scene: Scene) -> Plan:
    """How to do a check.

    Raises:
        UsageError: if it can't be done with these columns.
    """
    pattern = next((n for n in check.columns if n == "*" or (n.startswith("^") and n.endswith("$"))), None)
    if pattern is not None and check.kind != "has_columns":
        raise UsageError(f"polars takes the name {pattern} for a pattern: rename the column")
    if check.kind != "has_columns":
        _check_there(check.columns, scene)
    return _KINDS[check.kind](check, scene)


def _check_there(columns: Iterable[str], scene: Scene) -> None:
    missing = [name for name in columns if name not in scene.schema and not name.startswith("^")]
    if missing:
        there = ", ".join(list(scene.schema)[:12]) + (", ..." if len(scene.schema) > 12 else "")
        raise UsageError(f"there is no column {', '.join(missing)}; there are: {there or 'none'}")


def _of_rows(bad: pl.Expr, parts: Mapping[str, pl.Expr] | None = None) -> Plan:
    """The plan of a check of each row; `bad` is null where there is nothing to check, `parts` say which column."""
    parts = parts or {}

    def read(values: Values, rows: int) -> Seen:
        counts = {name: values[f"part {name}"] for name in parts}
        detail = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
        return Seen(rows, values["failing"], {"detail": detail})

    counts = {f"part {name}": part.sum() for name, part in parts.items()}
    return Plan(read, {"failing": bad.sum(), **counts}, lambda rows, most: rows.filter(bad).head(most), bad)


def _has_columns(check: Check, scene: Scene) -> Plan:
    wanted = check.settings.get("types", {})
    found = {name: str(dtype) for name, dtype in scene.schema.items()}
    bases = {name: str(dtype.base_type()) for name, dtype in scene.schema.items()}
    facts = {
        "missing": [name for name in check.columns if name not in found],
        "wrong": {
            name: (found[name], dtype)
            for name, dtype in wanted.items()
            if name in found and dtype not in (found[name], bases[name]) and scene.schema[name] != pl.Null
        },
        "extra": [name for name in found if name not in check.columns],
        "columns": len(found),
    }
    return Plan(lambda _, rows: Seen(rows, facts=facts))


def _not_null(check: Check, scene: Scene) -> Plan:
    bad = {name: _is_missing(name, scene.schema[name]) for name in check.columns}
    return _of_rows(pl.any_horizontal(bad.values()), bad if len(bad) > 1 else None)


def _is_missing(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    return column.is_null() | column.is_nan().fill_null(value=False) if dtype.is_float() else column.is_null()


def _unique(check: Check, _: Scene) -> Plan:
    key = pl.col(check.columns[0]) if len(check.columns) == 1 else pl.struct(check.columns)
    partial = pl.any_horizontal(pl.col(name).is_null() for name in check.columns)
    counts = {
        "len": pl.len(),
        "values": key.n_unique(),
        "partial": partial.sum(),
        "partial_values": key.filter(partial).n_unique(),
    }

    def read(values: Values, rows: int) -> Seen:
        whole = values["len"] - values["partial"]
        return Seen(rows, whole - (values["values"] - values["partial_values"]))

    def failing(rows: pl.LazyFrame, most: int) -> pl.LazyFrame:
        repeated = (
            rows.filter(~partial).group_by(check.columns).agg(pl.len().alias(TIMES)).filter(pl.col(TIMES) > 1)
        )
        order = [True, *(False for _ in check.columns)]
        return repeated.sort([TIMES, *check.columns], descending=order).head(most)

    return Plan(read, counts, failing, key=check.columns)


def _between(check: Check, scene: Scene) -> Plan:
    name = check.columns[0]
    column, dtype = pl.col(name), scene.schema[name]
    low, high = (check.settings[side] for side in ("low", "high"))
    parts = [] if low is None else [column < _limit(low, dtype)]
    parts += [] if high is None else [column > _limit(high, dtype)]
    parts += [column.is_nan()] if dtype.is_float() else []
    return _of_rows(pl.any_horizontal(parts))


def _one_of(check: Check, scene: Scene) -> Plan:
    name = check.columns[0]
    column, dtype = pl.col(name), scene.schema[name]
    values = [value for value in check.settings["values"] if value is not None]
    if isinstance(dtype, pl.Categorical | pl.Enum):
        column, dtype = column.cast(pl.String), pl.String()
    if isinstance(dtype, pl.Datetime):
        members = pl.concat([pl.select(_limit(value, dtype).cast(dtype)).to_series() for value in values])
    elif dtype.is_numeric() and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        column, members = _numbers(column, dtype, values)
    else:
        members = pl.Series(values)
    return _of_rows(~column.is_in(members.implode()))


def _seen_in_training(check: Check, scene: Scene) -> Plan:
    given = check.settings["model"]
    version = as_version(given)
    if version is not None:
        given = known_categories(version)
    known: Mapping[str, Any] = given["categories"]
    names = check.columns or tuple(name for name in known if name in scene.schema)
    unknown = next((name for name in names if name not in known), "" if not names else None)
    if unknown is not None:
        which = f"of {unknown} " if unknown else ""
        raise UsageError(f"model {given['model']} has no categories {which}to compare with: {given['why']}")
    bad = {name: unseen(name, scene.schema[name], known[name]) for name in names}
    return _of_rows(pl.any_horizontal(bad.values()), bad if len(bad) > 1 else None)


def _numbers(column: pl.Expr, dtype: pl.DataType, values: list[Any]) -> tuple[pl.Expr, pl.Series]:
    """A column and a set of numbers in one type: whole numbers as such if both are, else as floats."""
    if dtype.is_integer() and all(isinstance(value, int) for value in values):
        return column, pl.Series(values)
    wide = dtype if dtype.is_float() else pl.Float64()
    return column.cast(wide), pl.Series([float(value) for value in values]).cast(wide)


def _matches(check: Check, scene: Scene) -> Plan:
    name = check.columns[0]
    dtype = scene.schema[name]
    if not isinstance(dtype, pl.String | pl.Categorical | pl.Enum | pl.Null):
        raise UsageError(f"{name} is {dtype}, not text")
    return _of_rows(~pl.col(name).cast(pl.String).str.contains(rf"\A(?:{check.settings['pattern']})\z"))


def _row_count(_: Check, __: Scene) -> Plan:
    return Plan(lambda _, rows: Seen(rows, facts={"rows": rows}))


def _fresh(check: Check, scene: Scene) -> Plan:
    name = check.columns[0]
    dtype = scene.schema[name]
    if not isinstance(dtype, pl.Date | pl.Datetime | pl.Null):
        raise UsageError(f"{name} is {dtype}, not a date or time")
    column = pl.col(name) if isinstance(dtype, pl.Datetime) else pl.col(name).cast(pl.Datetime("us"))
    zone = dtype.time_zone if isinstance(dtype, pl.Datetime) else None
    column = column.dt.convert_time_zone("UTC") if zone else column.dt.replace_time_zone("UTC")
    now = scene.now if check.settings["now"] is None else _aware(check.settings["now"])
    past = column <= pl.lit(now)
    counts = {"newest": column.filter(past).max(), "later": (~past).sum()}

    def read(values: Values, rows: int) -> Seen:
        newest = values["newest"]
        age = None if newest is None else (now - newest).total_seconds()
        facts = {"age": age, "newest": _moment(newest), "now": _moment(now), "later": values["later"] or 0}
        return Seen(rows, facts=facts)

    return Plan(read, counts)


def _refers_to(check: Check, scene: Scene) -> Plan:
    reference = lazy_of(check.settings["reference"])
    there = reference.collect_schema()
    absent = [name for name in check.settings["to"] if name not in there]
    if absent:
        raise UsageError(f"the reference has no column {', '.join(absent)}; it has: {', '.join(there)}")
    pairs = list(zip(check.columns, check.settings["to"], strict=True))
    keys = reference.select(_alike(pl.col(to), there[to], scene.schema[name]).alias(name) for name, to in pairs)
    known = keys.drop_nulls().unique().collect(engine="streaming")
    one = len(pairs) == 1
    key = pl.col(check.columns[0]) if one else pl.struct(check.columns)
    members = known.to_series() if one else known.to_struct()
    whole = pl.all_horizontal(pl.col(name).is_not_null() for name in check.columns)
    return _of_rows(whole & ~key.is_in(members.implode()))


def _like(check: Check, scene: Scene) -> Plan:
    settings = check.settings
    reference = lazy_of(settings["reference"])

    def read(_: Values, rows: int) -> Seen:
        if not rows:
            return Seen(0)
        found = distance(settings["measure"], scene.rows, check.columns[0], reference, settings["to"])
        return Seen(rows, facts={"distance": found})

    return Plan(read)


def _holds(check: Check, scene: Scene) -> Plan:
    if "function" in check.settings:
        return _function(check, scene)
    stated = _stated(check)
    _check_there(dict.fromkeys(stated.meta.root_names()), scene)
    kinds = scene.rows.select(stated).collect_schema()
    wrong = next((dtype for dtype in kinds.values() if dtype != pl.Boolean), None)
    if wrong is not None or not kinds:
        raise UsageError(f"it gives {wrong}, neither true nor false")
    good = pl.all_horizontal(stated)
    counts = {"len": good.len(), "nulls": good.null_count(), "failing": (~good).sum()}

    def read(values: Values, rows: int) -> Seen:
        if values["len"] != 1 or (rows == 1 and not _is_of_the_frame(good, scene.rows)):
            return Seen(values["len"], values["failing"])
        if not values["nulls"]:
            return Seen(rows, values["failing"], {"whole": True})
        return Seen(rows, 1, {"whole": True, "null": True}) if rows else Seen()

    return Plan(read, counts, lambda rows, most: rows.filter(~good).head(most), ~good)


def _is_of_the_frame(good: pl.Expr, one_row: pl.LazyFrame) -> bool:
    """Whether an expression says one thing of all rows, which a single row does not show: of two it does."""
    row = one_row.collect()
    try:
        return pl.concat([row, row]).lazy().select(good).collect().height == 1
    except FAILURES:
        return True  # `item()` and the like: it is for one row only, so that it is of the frame


def _stated(check: Check) -> Any:
    if "sql" not in check.settings:
        return check.what
    try:
        stated = pl.sql_expr(check.settings["sql"])
    except pl.exceptions.PolarsError as error:
        raise UsageError(f"it is no SQL expression: {in_short(str(error))}") from None
    return stated


def _function(check: Check, scene: Scene) -> Plan:
    found = check.what(scene.rows)
    if type(found).__name__ in ("bool", "bool_"):
        return Plan(lambda _, rows: Seen(rows, int(not found), {"whole": True}))
    if isinstance(found, pl.DataFrame | pl.LazyFrame):
        failing = found.lazy()
        count = failing.select(pl.len()).collect(engine="streaming").item()
        return Plan(lambda _, rows: Seen(rows, count), failing=lambda _, most: failing.head(most))
    raise UsageError(f"it returned {type(found).__name__}, neither a bool nor a frame of the failing rows")


def _alike(column: pl.Expr, dtype: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    """A reference's column in the type of the column that is looked up in it.

    What that type can't say (a number that does not fit, or is not whole) is null, and never looked for.
    """
    if dtype.is_float() and wanted.is_integer():
        return pl.when(column == column.floor()).then(column).cast(wanted, strict=False)
    numbers = dtype.is_integer() and (wanted.is_integer() or wanted.is_float())
    texts = (pl.String, pl.Categorical, pl.Enum)
    times = (
        isinstance(dtype, pl.Datetime) and isinstance(wanted, pl.Datetime) and dtype.time_zone == wanted.time_zone
    )
    if numbers or times or (isinstance(dtype, texts) and isinstance(wanted, texts)):
        return column.cast(wanted, strict=False)
    return column


def _limit(value: object, dtype: pl.DataType) -> pl.Expr:
    """A limit as a literal; where a time with a zone meets one without, the latter is taken as UTC."""
    if isinstance(dtype, pl.Datetime) and isinstance(value, date):
        moment = pl.lit(_aware(value))
        zone = dtype.time_zone
        return moment.dt.convert_time_zone(zone) if zone else moment.dt.replace_time_zone(None)
    return pl.lit(value)


def _aware(value: date) -> datetime:
    """A date or time in UTC."""
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _moment(value: datetime | None) -> str | None:
    return None if value is None else value.strftime("%Y-%m-%d %H:%M:%S UTC")


_KINDS: dict[str, Callable[[Check, Scene], Plan]] = {
    "has_columns": _has_columns,
    "not_null": _not_null,
    "unique": _unique,
    "between": _between,
    "one_of": _one_of,
    "matches": _matches,
    "row_count": _row_count,
    "fresh": _fresh,
    "refers_to": _refers_to,
    "like": _like,
    "seen_in_training": _seen_in_training,
    "holds": _holds,
}
