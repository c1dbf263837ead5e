"""Training rows with what was known at their moment: a point-in-time join.

Entities are numbered first and the join itself sees numbers only: an as-of join by several text columns costs
seven times one by a number (measured, polars 2.1), and wide rows are moved once, by their position.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trikk.core.errors import UnknownName, UsageError
from trikk.features.feature_definition import Definition
from trikk.features.feature_rows import Facts, as_key, check_time, check_zones, facts, microseconds, refuse_nulls
from trikk.storage.frames import rows_of

if TYPE_CHECKING:
    import polars as pl


def join_as_of(
    definition: Definition,
    rows: Any,
    table: pl.LazyFrame | pl.DataFrame,
    *,
    on: str,
    features: Sequence[str] | None = None,
    prefix: str = "",
) -> pl.DataFrame:
    """Give each row the features that were known at its moment; arguments as of `FeatureTable.join_as_of`.

    Returns:
        `rows` in their order, with the features after their columns; null where nothing was known, or only values
        older than the ttl.

    Raises:
        UsageError: if a column is missing, of a wrong type or null where it must not be, if a feature has the name
            of a column of `rows`, or if rows of the table contradict each other.
    """
    frame = rows_of(rows)
    known = facts(definition, table)
    moments = _moments(frame, definition, known, on)
    chosen = _chosen(known, features)
    names = [prefix + name for name in chosen]
    present = [name for name in names if name in frame.columns]
    if present:
        raise UsageError(
            f"the rows have a column {present[0]!r} already", where=_where(definition), next='give prefix="..."'
        )
    values = known.values.select(chosen)
    values.columns = names
    return frame.hstack(_take(values, _match(definition, frame, known, moments)))


def _match(definition: Definition, frame: pl.DataFrame, known: Facts, moments: pl.Series) -> pl.Series:
    """For each row of `frame` the position of the row of `known` that counts for it, or null."""
    import polars as pl

    entities, table = known.by_entity()
    keys = [name for name in entities.columns if name != "id"]
    typed = [
        as_key(frame[name], known.entity[name].dtype, _where(definition)).alias(key)
        for name, key in zip(definition.entity, keys, strict=True)
    ]
    ids = pl.DataFrame(typed).join(entities, on=keys, how="left", maintain_order="left")["id"]
    left = pl.DataFrame({"id": ids, "moment": moments}).with_row_index("at").sort("moment")
    joined = left.join_asof(
        table, left_on="moment", right_on="available", by="id", strategy="backward", check_sortedness=False
    )
    row = pl.col("row")
    if definition.ttl is not None:
        row = pl.when(pl.col("moment") - pl.col("rank") <= definition.ttl).then(row)
    return joined.select("at", row=row).sort("at")["row"]


def _take(values: pl.DataFrame, positions: pl.Series) -> list[pl.Series]:
    """Rows of `values` by position, null where the position is."""
    import polars as pl

    if values.height == 0:
        return [pl.Series(name, [None] * len(positions), dtype) for name, dtype in values.schema.items()]
    return values.select(pl.all().gather(positions)).get_columns()


def _moments(frame: pl.DataFrame, definition: Definition, known: Facts, on: str) -> pl.Series:
    where = f"{_where(definition)}, the rows to join"
    missing = [c for c in (*definition.entity, on) if c not in frame.columns]
    if missing:
        raise UsageError(
            f"there is no column {', '.join(map(repr, missing))}",
            where=where,
            next=f"there are: {', '.join(frame.columns)}",
        )
    check_zones(on, check_time(on, frame.schema[on], where), known.aware, where)
    refuse_nulls(frame, [on], where)
    return microseconds(frame[on])


def _chosen(known: Facts, features: Sequence[str] | None) -> list[str]:
    chosen = known.values.columns if features is None else list(features)
    for name in chosen:
        if name not in known.values.columns:
            raise UnknownName("feature", name, known.values.columns)
    return chosen


def _where(definition: Definition) -> str:
    return f"feature table {definition.name}"
