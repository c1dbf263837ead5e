"""Rows that could not be predicted, beside those that were: their share of a window is a figure of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from trikk.core.errors import UsageError
from trikk.monitoring.cases.nowcasts import TOO_LATE
from trikk.monitoring.monitor_definition import MonitorSpec

if TYPE_CHECKING:
    import polars as pl

SET_ASIDE = "_set_aside"
_SAID, _IS_ASIDE, _ROW, _ASIDE = "_said", "_is_aside", "_row_text", "_aside_"


def set_aside_rows(spec: MonitorSpec, aside: pl.LazyFrame, like: pl.Schema) -> pl.LazyFrame:
    """The rows of a table as `predict(on_invalid="set aside")` writes it, each entity and slot once.

    Those without an entity are told apart by what the row holds.

    Args:
        spec: the monitor.
        aside: the table, in a window of time.
        like: the columns of the predictions.

    Returns:
        The key and the slot in the types of the predictions, and their slices as far as the table has them.

    Raises:
        UsageError: if a column of the key is missing.
    """
    import polars as pl

    have, by = aside.collect_schema(), [*spec.key, spec.slot]
    missing = [name for name in spec.key if name not in have]
    if missing:
        raise UsageError(
            f"table {spec.set_aside} has no column {missing[0]!r}, which monitor {spec.name} needs",
            next='let predict(..., on_invalid="set aside", invalid=...) write it, with the same key',
        )
    if f"set_aside_{spec.slot}" in have:  # a gate that shares the table has its own time by that name
        aside = aside.filter(pl.col(f"set_aside_{spec.slot}").is_not_null())
    nameless = pl.any_horizontal(pl.col(name).is_null() for name in spec.key)
    row = pl.col("row") if have.get("row") == pl.String else pl.lit(None, pl.String)
    once = aside.with_columns(pl.when(nameless).then(row).alias(_ROW)).unique(subset=[*by, _ROW], keep="last")
    unit = like[spec.slot].time_unit  # type: ignore[attr-defined]
    keys = [pl.col(name).cast(like[name], strict=False) for name in spec.key]
    slices = [n for n in spec.slices if n in have and n not in by and have[n] == like.get(n)]
    return once.select(
        *keys, pl.col(spec.slot).dt.cast_time_unit(unit), *(pl.col(n).alias(_ASIDE + n) for n in slices)
    )


def with_set_aside(chosen: pl.DataFrame, aside: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Predictions and, by `_set_aside`, rows that have none; one that was mended and predicted (in time) has one.

    Args:
        chosen: one row for each entity and slot with predictions.
        aside: as `set_aside_rows` gives it.
        by: the columns of entity and slot.
    """
    import polars as pl

    # A case that was predicted too late only has no prediction that counts, so that its row stays set aside.
    said = ~pl.col(TOO_LATE) if TOO_LATE in chosen.columns else pl.lit(value=True)
    rows = aside.with_columns(pl.lit(value=True).alias(_IS_ASIDE))
    both = chosen.with_columns(said.alias(_SAID)).join(rows, on=by, how="full", coalesce=True)
    is_aside = ~pl.col(_SAID).fill_null(value=False) & pl.col(_IS_ASIDE).fill_null(value=False)
    slices = [name for name in aside.columns if name.startswith(_ASIDE)]
    named = [pl.coalesce(name.removeprefix(_ASIDE), name).alias(name.removeprefix(_ASIDE)) for name in slices]
    return both.with_columns(is_aside.alias(SET_ASIDE), *named).drop(_SAID, _IS_ASIDE, *slices)


def rejected_in_words(sums: Iterable[Mapping[str, Sequence[float]]]) -> list[str]:
    """How many rows were set aside in several windows, in words; nothing if none.

    Args:
        sums: the `sums` of each window's figures.
    """
    known = [one["set_aside"] for one in sums if "set_aside" in one]
    count, total = (int(sum(one[place] for one in known)) for place in (0, 1))
    return (
        [f"set aside: {count:,} of {total:,} rows could not be predicted ({count / total:.1%})"] if count else []
    )
