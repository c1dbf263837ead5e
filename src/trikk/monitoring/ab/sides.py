"""The two sides of a comparison as people write them, and the rows of predictions that each of them means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from trikk.core.errors import UnknownName, UsageError
from trikk.core.names import check_name
from trikk.core.values import JSON
from trikk.models.registry import Registry
from trikk.models.state import Move
from trikk.monitoring.cases.case_join import check_tables
from trikk.monitoring.monitor_definition import TIME_PARTS, MonitorSpec
from trikk.pipeline.model_reference import split_reference

if TYPE_CHECKING:
    import polars as pl

_SHAPES = "people:3, people@champion, people@champion/staging, column:NAME, table:NAME or table:NAME/people:3"


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison."""

    text: str  # as it was written
    table: str = ""  # the table of predictions; "" for the monitor's, or wherever the version's predictions are
    column: str = ""  # the column of values; "" for the monitor's
    model: str = ""  # the model; "" for predictions by any
    version: int | None = None  # its version, or None
    alias: str = ""  # or the alias whose holders made the predictions; "" for none
    environment: str = ""  # whose alias; "" for the project's


def read_side(text: str) -> Side:
    """A side as written on the command line.

    Args:
        text: `people:3` a version; `people@champion` whoever held the alias when a prediction was made, and
            `people@champion/staging` in another environment; `column:last_week` a column of the monitor's
            predictions; `table:shadow` another table; `table:shadow/people:4` a version's predictions in it.

    Raises:
        UsageError: if it is not one of these.
    """
    kind, colon, rest = text.partition(":")
    if colon and kind == "column" and rest:
        return Side(text, column=rest)
    if colon and kind == "table":
        table, slash, inside = rest.partition("/")
        check_name("table", table)
        return replace(read_side(inside), text=text, table=table) if slash else Side(text, table=table)
    reference, slash, environment = text.partition("/")
    if slash:
        check_name("environment", environment)
    model, alias, version = split_reference(reference)
    if (alias is None and version is None) or (slash and alias is None):
        raise UsageError(f"{text!r} is not a side of a comparison", next=f"write {_SHAPES}")
    return Side(text, model=model, version=version, alias=alias or "", environment=environment)


@dataclass(frozen=True, slots=True)
class Part:
    """What a table has of a side.

    Attributes:
        table: the table.
        rows: how many predictions.
        frame: as the monitor's table, with the side's rows and the side's values; None if they can't be compared.
        why: why they can't; "" if they can.
        everything: what the table has of all versions of the side's model; None if `frame` does.
    """

    table: str
    rows: int
    frame: pl.LazyFrame | None = field(repr=False)
    why: str = ""
    everything: pl.LazyFrame | None = field(default=None, repr=False)

    def to_json(self) -> dict[str, JSON]:
        """The part as JSON."""
        return {"table": self.table, "rows": self.rows, "why_not": self.why or None}


def where_in_words(side: Side, parts: Sequence[Part], spec: MonitorSpec) -> str:
    """Where the predictions of a version or an alias are, in words; "" if only in the monitor's table."""
    if not side.model or [part.table for part in parts] == [spec.predictions]:
        return ""
    words = [f"{part.rows:,} in {part.table}" + (f", left out: {part.why}" if part.why else "") for part in parts]
    return f"{side.text}: {'; '.join(words)}"


def parts_of(side: Side, spec: MonitorSpec, tables: Any, registry: Registry, environment: str) -> list[Part]:
    """The predictions of a side, by table: the monitor's comes first, and those that can't be compared come last.

    Raises:
        UnknownName: if there is no such table, column, model, version or alias.
        UsageError: if there are no predictions of that side that can be compared.
    """
    import polars as pl

    moves = _moves(side, registry, environment)
    if side.model:
        return _tables_with(side, spec, tables, moves)
    table = side.table or spec.predictions
    rows: pl.LazyFrame = tables.scan(table)
    names = rows.collect_schema().names()
    column = side.column or spec.prediction
    if column not in names:
        raise UnknownName("column", column, names)
    own = rows if column == spec.prediction else rows.with_columns(pl.col(column).alias(spec.prediction))
    return [Part(table, int(rows.select(pl.len()).collect().item()), own)]


def narrowed(spec: MonitorSpec, table: str, columns: Sequence[str]) -> MonitorSpec:
    """The monitor with another table of predictions, and of its columns no more than a comparison needs."""
    slices = tuple(name for name in spec.slices if name in (*columns, *TIME_PARTS))
    return msgspec.structs.replace(
        spec, predictions=table, baseline="", interval=(), expected_error="", slices=slices
    )


def _tables_with(side: Side, spec: MonitorSpec, tables: Any, moves: Sequence[Move]) -> list[Part]:
    """A version's or alias's rows, wherever they are."""
    elsewhere = [name for name in tables.names() if name not in (spec.predictions, spec.truth)]
    searched = [side.table] if side.table else [spec.predictions, *elsewhere]
    truth = tables.scan(spec.truth).collect_schema()
    parts = [
        part
        for name in searched
        if (part := _of_model(side, spec, name, truth, _by_model(side.model, tables.scan(name)), moves))
    ]
    if not parts:
        raise _nothing(side, tables, moves, searched)
    fit = [part for part in parts if part.frame is not None]
    if not fit:
        needed = ", ".join((*spec.key, spec.slot, spec.prediction))
        words = "; ".join(f"{part.rows:,} in table {part.table}, but {part.why}" for part in parts)
        raise UsageError(
            f"the predictions of {side.text} can't be compared by monitor {spec.name}: {words}",
            next=f"predict with {needed}, as table {spec.predictions} has them",
        )
    return [*fit, *(part for part in parts if part.frame is None)]


def _nothing(side: Side, tables: Any, moves: Sequence[Move], searched: Sequence[str]) -> UsageError:
    """That there are no predictions of a side; of an alias, since when it is held, and what could be compared."""
    where = f" in table {side.table}" if side.table else ""
    problem = f"there are no predictions of {side.text}{where}"
    if not moves:
        counts = _made_by(side, [side.version or 0], tables, tables.names()) if side.table else []
        if counts:
            words = ", ".join(f"{rows:,} in table {name}" for _, name, rows in counts)
            mend = f"leave the table out: {side.model}:{side.version}"
            return UsageError(f"{problem}; there are {words}", next=mend)
        mend = "let it predict beside the champion (`shadow`), or compare on given rows (`promote_if`)"
        return UsageError(problem, next=mend)
    last = moves[-1]
    problem += f": version {last.version} has held {side.alias} since {_moment(last.at):%Y-%m-%d %H:%M} UTC"
    counts = _made_by(side, sorted({move.version for move in moves}), tables, searched)
    if not counts:
        return UsageError(problem, next="wait for predictions that it makes from then on (`shadow`)")
    words = ", ".join(f"{rows:,} by version {version} in {name}" for version, name, rows in counts)
    version, name, _ = next((one for one in counts if one[0] == last.version), counts[0])
    return UsageError(
        f"{problem}, and whatever was predicted before does not count: {words}",
        next=f"compare what the version has made: {side.model}:{version}, or table:{name}",
    )


def _made_by(
    side: Side, versions: Sequence[int], tables: Any, searched: Sequence[str]
) -> list[tuple[int, str, int]]:
    """How many rows versions have made, by version and table."""
    own = {name: rows for name in searched if (rows := _by_model(side.model, tables.scan(name))) is not None}
    counts = [(v, name, _count(rows.filter(_is_version(v)))) for v in versions for name, rows in own.items()]
    return [one for one in counts if one[2]]


def _of_model(
    side: Side, spec: MonitorSpec, table: str, truth: pl.Schema, rows: pl.LazyFrame | None, moves: Sequence[Move]
) -> Part | None:
    """What a table has of the side's model; None if nothing."""
    import polars as pl

    if rows is None:
        return None
    schema = rows.collect_schema()
    why = ""
    if not side.alias:
        own = rows.filter(_is_version(side.version or 0))
    elif isinstance(dtype := schema.get(spec.made_at), pl.Datetime):
        moment = pl.col(spec.made_at) if dtype.time_zone else pl.col(spec.made_at).dt.replace_time_zone("UTC")
        own = rows.filter(_held_alias(moment, moves))
    else:
        own = rows.filter(pl.any_horizontal(*(_is_version(move.version) for move in moves)))
        why = f"it has no time {spec.made_at!r}, so that nobody knows who held {side.alias} then"
    count = _count(own)
    if not count:
        return None
    try:
        check_tables(narrowed(spec, table, [*schema.names(), *truth.names()]), schema, truth)
    except UsageError as error:
        why = why or error.what
    return Part(table, count, None if why else own, why, rows)


def _by_model(model: str, rows: pl.LazyFrame) -> pl.LazyFrame | None:
    """The rows that a model has made, versions as whole numbers; None if a table does not say who made them."""
    import polars as pl

    schema = rows.collect_schema()
    if not {"model", "model_version"} <= set(schema.names()):
        return None
    if schema["model"] != pl.String:
        rows = rows.with_columns(pl.col("model").cast(pl.String, strict=False))
    if not schema["model_version"].is_integer():
        rows = rows.with_columns(pl.col("model_version").cast(pl.Int64, strict=False))
    return rows.filter(pl.col("model") == model)


def _is_version(version: int) -> pl.Expr:
    import polars as pl

    return pl.col("model_version") == version


def _count(rows: pl.LazyFrame) -> int:
    import polars as pl

    return int(rows.select(pl.len()).collect().item())


def _moves(side: Side, registry: Registry, environment: str) -> list[Move]:
    """The moves of the side's alias; none for a side without. UnknownName if the model has no such thing."""
    if not side.model:
        return []
    state = registry.state(side.model)
    if side.version is not None:
        state.get(side.version)
        return []
    where = side.environment or environment
    moves = [move for move in state.moves if (move.alias, move.environment) == (side.alias, where)]
    if not moves:
        known = {f"{side.model}@{move.alias}/{move.environment}" for move in state.moves}
        raise UnknownName("alias", f"{side.model}@{side.alias}/{where}", known)
    return moves


def _held_alias(moment: pl.Expr, moves: Sequence[Move]) -> pl.Expr:
    """Whether a row's version held the alias when the row was made.

    At the very moment of a move both holders count: a backfill may give a promotion and a prediction one time.
    """
    import polars as pl

    ends: list[float | None] = [*(move.at for move in moves[1:]), None]
    tenures = []
    for move, end in zip(moves, ends, strict=True):
        # Both ends included: a promotion and the first prediction by it may bear one time.
        since = _is_version(move.version) & (moment >= _moment(move.at))
        tenures.append(since if end is None else since & (moment <= _moment(end)))
    return pl.any_horizontal(*tenures)


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
