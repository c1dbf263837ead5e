"""The two sides of a comparison as people write them, and the rows of predictions that each of them means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from trikk.core.errors import UnknownName, UsageError
from trikk.core.names import check_name
from trikk.models.registry import Registry
from trikk.models.state import Move
from trikk.monitoring.definition import MonitorSpec
from trikk.pipeline.model import split_reference

if TYPE_CHECKING:
    import polars as pl

_SHAPES = "people:3, people@champion, people@champion/staging, column:NAME, table:NAME or table:NAME/people:3"


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison.

    Attributes:
        text: as it was written.
        table: the table of predictions; "" for the monitor's, or wherever the version's predictions are.
        column: the column of values; "" for the monitor's.
        model: the model; "" for predictions by any.
        version: its version, or None.
        alias: or the alias whose holders made the predictions; "" for none.
        environment: whose alias; "" for the project's.
    """

    text: str
    table: str = ""
    column: str = ""
    model: str = ""
    version: int | None = None
    alias: str = ""
    environment: str = ""


def read_side(text: str) -> Side:
    """A side as written on the command line.

    Args:
        text: `people:3` a version; `people@champion` whoever held the alias when a prediction was made, and
            `people@champion/staging` in another environment; `column:last_week` a column of the monitor's
            predictions; `table:shadow` another table; `table:shadow/people:4` a version's predictions in it.

    Raises:
        UsageError: if it is none of these.
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
        raise UsageError(f"{text!r} is no side of a comparison", next=f"write {_SHAPES}")
    return Side(text, model=model, version=version, alias=alias or "", environment=environment)


def rows_of(side: Side, spec: MonitorSpec, tables: Any, registry: Registry, environment: str) -> pl.LazyFrame:
    """The predictions of a side: as the monitor's table, but with the side's rows and the side's values.

    Args:
        side: the side.
        spec: the monitor.
        tables: the project's.
        registry: for versions and aliases.
        environment: the project's.

    Raises:
        UnknownName: if there is no such table, column, model, version or alias.
        UsageError: if there are no predictions of that side.
    """
    import polars as pl

    moves = _moves(side, registry, environment)
    rows: pl.LazyFrame = (
        _found(side, spec, tables, moves) if side.model else tables.scan(side.table or spec.predictions)
    )
    names = rows.collect_schema().names()
    column = side.column or spec.prediction
    if column not in names:
        raise UnknownName("column", column, names)
    return rows if column == spec.prediction else rows.with_columns(pl.col(column).alias(spec.prediction))


def _found(side: Side, spec: MonitorSpec, tables: Any, moves: Sequence[Move]) -> pl.LazyFrame:
    """A version's or alias's rows, in the monitor's table, or else in the one other table that has some."""
    looked = [side.table] if side.table else [spec.predictions]
    others = [] if side.table else [name for name in tables.names() if name not in (spec.predictions, spec.truth)]
    having = [rows for name in looked if (rows := _of_model(side, spec, tables.scan(name), moves)) is not None]
    if having:
        return having[0]
    more = [
        (name, rows) for name in others if (rows := _of_model(side, spec, tables.scan(name), moves)) is not None
    ]
    if len(more) > 1:
        raise UsageError(
            f"predictions of {side.text} are in several tables: {', '.join(name for name, _ in more)}",
            next=f"say which: table:{more[0][0]}/{side.text}",
        )
    if not more:
        raise _nothing(side, tables, moves, [*looked, *others])
    return more[0][1]


def _nothing(side: Side, tables: Any, moves: Sequence[Move], looked: Sequence[str]) -> UsageError:
    """That there are no predictions of a side; of an alias, since when it is held, and what could be compared."""
    what = f"there are no predictions of {side.text}" + (f" in table {side.table}" if side.table else "")
    if not moves:
        mend = "let it predict beside the champion (`shadow`), or compare on given rows (`promote_if`)"
        return UsageError(what, next=mend)
    last = moves[-1]
    what += f": version {last.version} has held {side.alias} since {_moment(last.at):%Y-%m-%d %H:%M} UTC"
    held = sorted({move.version for move in moves})
    found = {
        (version, name): rows
        for version in held
        for name in looked
        if (rows := _made_by(side.model, version, tables.scan(name)))
    }
    if not found:
        return UsageError(what, next="wait for predictions that it makes from then on (`shadow`)")
    told = ", ".join(f"{rows:,} by version {version} in {name}" for (version, name), rows in found.items())
    version, name = next((one for one in found if one[0] == last.version), next(iter(found)))
    return UsageError(
        f"{what}, and whatever was predicted before does not count: {told}",
        next=f"compare what the version has made: {side.model}:{version}, or table:{name}",
    )


def _made_by(model: str, version: int, rows: pl.LazyFrame) -> int:
    """How many rows a version has made; 0 for a table of another kind."""
    import polars as pl

    if not {"model", "model_version"} <= set(rows.collect_schema().names()):
        return 0
    own = (pl.col("model") == model) & (pl.col("model_version") == version)
    return int(rows.filter(own).select(pl.len()).collect().item())


def _of_model(side: Side, spec: MonitorSpec, rows: pl.LazyFrame, moves: Sequence[Move]) -> pl.LazyFrame | None:
    """The rows that the side's model made; None if there are none, or the table is of another kind."""
    import polars as pl

    needed = {*spec.key, spec.slot, spec.prediction, "model", "model_version"}
    needed |= {spec.made} if side.alias else set()
    if not needed <= set(rows.collect_schema().names()):
        return None
    own = pl.col("model") == side.model
    own &= _held(spec.made, moves) if side.alias else pl.col("model_version") == side.version
    chosen = rows.filter(own)
    return chosen if chosen.select(pl.len()).head(1).collect().item() else None


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


def _held(made: str, moves: Sequence[Move]) -> pl.Expr:
    """Whether a row's version held the alias when the row was made.

    At the very moment of a move both holders count: a backfill may give a promotion and a prediction one time.
    """
    import polars as pl

    ends: list[float | None] = [*(move.at for move in moves[1:]), None]
    found = pl.lit(False)
    for move, end in zip(moves, ends, strict=True):
        while_ = (pl.col("model_version") == move.version) & (pl.col(made) >= _moment(move.at))
        found |= while_ & (pl.col(made) <= _moment(end)) if end is not None else while_
    return found


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
