"""The rows of a feature table, checked, with their times as numbers: what joining and serving start from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trikk.core.errors import UsageError
from trikk.features.feature_definition import Definition
from trikk.storage.fitting_types import in_type

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Facts:
    """Checked rows of a feature table, in three frames of the same height."""

    entity: pl.DataFrame  # the entity columns, without nulls
    # `available` and `rank`, Int64 microseconds since 1970: from when on the row is used, and which of several is
    # (the greatest; its age counts from there)
    times: pl.DataFrame
    values: pl.DataFrame  # the features
    aware: bool  # whether the times have a zone
    ranked: bool  # whether ranks may be in another order than availability

    def by_entity(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Entities numbered, and the rows that are ever used, in the order in which they become available.

        Returns:
            The distinct entities with their number in a last column "id"; and `id`, `available`, `rank`, `row`
            (the position here), sorted by `available` and `rank`. A row that becomes available after another of
            its entity with a greater rank is never used, and left out.
        """
        import polars as pl

        numbered = self.entity.rename(dict(zip(self.entity.columns, _positions(self.entity), strict=True)))
        entities = numbered.unique(maintain_order=True).with_row_index("id")
        ids = numbered.join(entities, on=_positions(self.entity), how="left", maintain_order="left")["id"]
        rows = self.times.with_columns(id=ids).with_row_index("row")
        _refuse_contradictions(self, rows)
        if self.ranked:
            rows = rows.sort("available", "rank")
            rows = rows.filter(pl.col("rank") >= pl.col("rank").cum_max().over("id"))
        else:
            rows = rows.sort("available")
        return entities.select(*_positions(self.entity), "id"), rows


def facts(definition: Definition, table: pl.LazyFrame | pl.DataFrame) -> Facts:
    """Check the rows of a feature table.

    Raises:
        UsageError: if a column is missing or of a wrong type, or an entity or time is null.
    """
    import polars as pl

    schema = table.lazy().collect_schema()
    values = value_types(definition, schema)
    where = f"feature table {definition.name}"
    timed = [definition.time, *([] if definition.event is None else [definition.event])]
    kinds = [check_time(name, schema[name], where) for name in timed]
    if len(set(kinds)) > 1:
        raise UsageError(
            f"{definition.time!r} is {_zone(kinds[0])} and {definition.event!r} {_zone(kinds[1])}",
            where=where,
            next="give both a time zone: .dt.replace_time_zone(...)",
        )
    for name in definition.entity:
        check_entity(name, schema[name], where)
    frame = table.lazy().select(*definition.entity, *timed, *values).collect()
    refuse_nulls(frame, [*definition.entity, *timed], where)
    known = microseconds(frame[definition.time], up=True)
    rank = known if definition.event is None else microseconds(frame[definition.event])
    return Facts(
        frame.select(definition.entity),
        pl.DataFrame({"available": known + definition.delay, "rank": rank}),
        frame.select(list(values)),
        kinds[0],
        definition.event is not None,
    )


def value_types(definition: Definition, schema: pl.Schema) -> dict[str, pl.DataType]:
    """The features' types.

    Raises:
        UsageError: if a column that the definition names is not there, or has another type than it says.
    """
    where = f"feature table {definition.name}"
    wanted = definition.features or {}
    missing = [c for c in (*definition.keys, *wanted) if c not in schema]
    if missing:
        raise UsageError(
            f"there is no column {', '.join(map(repr, missing))}",
            where=where,
            next=f"there are: {', '.join(schema)}",
        )
    wrong = [f"{n!r} is {schema[n]}, not {t}" for n, t in wanted.items() if t is not None and str(schema[n]) != t]
    if wrong:
        raise UsageError("; ".join(wrong), where=where, next="cast the column, or correct the definition")
    names = definition.features or [c for c in schema if c not in definition.keys]
    if not names:
        raise UsageError("there is no feature", where=where, next="add columns beside the entity and the time")
    return {name: schema[name] for name in names}


def in_declared_types(definition: Definition, frame: pl.DataFrame) -> pl.DataFrame:
    """The rows with features that have no values in the types that the definition gives them."""
    from trikk.features.cell_encoding import read_type

    types = {n: t for n, t in (definition.features or {}).items() if t is not None and n in frame.columns}
    typed = [in_type(frame[name], read_type(dtype)) for name, dtype in types.items()]
    return frame.with_columns(column for column in typed if column is not None)


def check_time(name: str, dtype: pl.DataType, where: str) -> bool:
    """Whether a column of moments has a time zone.

    Raises:
        UsageError: if it holds no moments.
    """
    import polars as pl

    if isinstance(dtype, pl.Datetime):
        return dtype.time_zone is not None
    hint = "a date does not say when in the day: " if dtype == pl.Date else ""
    raise UsageError(f"{name!r} is {dtype}, not a Datetime", where=where, next=f"{hint}give the moment itself")


def check_zones(name: str, aware: bool, wanted: bool, where: str) -> None:
    """Refuse to compare moments with a zone and moments without.

    Raises:
        UsageError: if they are not alike.
    """
    if aware != wanted:
        raise UsageError(
            f"{name!r} is {_zone(aware)}, the feature table's times are {_zone(wanted)}",
            where=where,
            next="say which zone is meant: .dt.replace_time_zone(...)",
        )


def check_entity(name: str, dtype: pl.DataType, where: str) -> None:
    """Refuse entity columns whose values can't be compared exactly."""
    import polars as pl

    if not (dtype.is_integer() or dtype in (pl.String, pl.Categorical, pl.Enum, pl.Boolean, pl.Date)):
        raise UsageError(
            f"{name!r} is {dtype}, which can't name an entity",
            where=where,
            next="use whole numbers, texts, booleans or dates",
        )


def refuse_nulls(frame: pl.DataFrame, columns: list[str], where: str) -> None:
    """Refuse nulls where a value must be, naming the column and how many rows."""
    for name in columns:
        if count := frame[name].null_count():
            raise UsageError(
                f"{name!r} is null in {count:,} of {frame.height:,} rows",
                where=where,
                next="drop these rows, or find out what they should have",
            )


def as_key(given: pl.Series, wanted: pl.DataType, where: str) -> pl.Series:
    """Keys in the table's type; a whole number that does not fit into it names no entity.

    Raises:
        UsageError: if they are of another kind.
    """
    import polars as pl

    if (fitting := in_type(given, wanted)) is not None:
        return fitting
    if given.dtype.is_integer() and wanted.is_integer():
        return given.cast(wanted, strict=False)
    texts = (pl.String, pl.Categorical, pl.Enum)
    if given.dtype in texts and wanted in texts:
        return given.cast(pl.String).cast(wanted, strict=False)
    raise UsageError(
        f"{given.name!r} is {given.dtype} here and {wanted} in the feature table",
        where=where,
        next="cast it",
    )


def microseconds(times: pl.Series, *, up: bool = False) -> pl.Series:
    """Moments as microseconds since 1970 (Int64); nanoseconds are rounded down, or `up`."""
    import polars as pl

    dtype = times.dtype
    assert isinstance(dtype, pl.Datetime)
    numbers = times.to_physical()
    if dtype.time_unit == "ms":
        return numbers * 1000
    if dtype.time_unit == "ns":
        return -((-numbers) // 1000) if up else numbers // 1000
    return numbers


def known_late(definition: Definition, frame: pl.DataFrame) -> pl.DataFrame:
    """The rows with nanoseconds of `time` rounded up to the microseconds of a table, so that none is early."""
    import polars as pl

    dtype = frame.schema.get(definition.time)
    if not isinstance(dtype, pl.Datetime) or dtype.time_unit != "ns":
        return frame
    stored = pl.Datetime("us", dtype.time_zone)
    return frame.with_columns(microseconds(frame[definition.time], up=True).cast(stored))


def _refuse_contradictions(facts: Facts, rows: pl.DataFrame) -> None:
    """Two rows of one entity and one time are fine if they say the same."""
    import polars as pl

    keys = ["id", "available", "rank"]
    if rows.select(keys).hash_rows().n_unique() == rows.height:
        return
    repeated = rows.filter(pl.struct(keys).is_duplicated())
    if repeated.height == 0:
        return
    said = facts.values[repeated["row"]].with_columns(repeated.get_column(k).alias(f"\0{k}") for k in keys)
    different = said.unique().filter(pl.struct(f"\0{k}" for k in keys).is_duplicated())
    if different.height:
        one = different.row(0, named=True)
        row = repeated.filter([pl.col(k) == one[f"\0{k}"] for k in keys])["row"][0]
        whom = ", ".join(f"{k}={v!r}" for k, v in facts.entity.row(row, named=True).items())
        raise UsageError(
            f"{different.height:,} rows contradict each other: the same entity and time with other values, "
            f"such as {whom}",
            next="keep one of them; a correction has the later time at which it became known",
        )


def _positions(entity: pl.DataFrame) -> list[str]:
    return [f"e{i}" for i in range(entity.width)]


def _zone(aware: bool) -> str:
    return "with a time zone" if aware else "without a time zone"
