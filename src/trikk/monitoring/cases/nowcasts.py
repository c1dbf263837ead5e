"""Which of several predictions counts where they are about the present, and what the others are.

A forecast is worth something because it came before its slot; a nowcast because it was the first to be said.
Whoever predicts a past slot again has a model that may have seen its truth: such a prediction is a correction, or
too late, and changes no figure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import reduce
from typing import TYPE_CHECKING

from trikk.core.errors import UnknownName
from trikk.monitoring.monitor_definition import MonitorSpec

if TYPE_CHECKING:
    import polars as pl

    from trikk.models.registry import Registry
    from trikk.models.version import ModelVersion

MADE, HINDSIGHT = "_made", "_hindsight"
TOO_LATE, TOO_EARLY, CORRECTIONS, CORRECTION = "_too_late", "_too_early", "_corrections", "_correction"
_COUNTS, _LATER = "_counts", "_later"
_BY = ("model", "model_version", "run")
_SKEW = timedelta(minutes=1)  # between the clocks of those who register and those who predict


def nowcasts(
    spec: MonitorSpec,
    rows: pl.DataFrame,
    predicted: str,
    values: Collection[str],
    by: Sequence[str],
    *,
    unique: bool,
) -> pl.DataFrame:
    """One row for each entity and slot: the first prediction made in time, or none, and what came besides.

    In time is from the slot on, for as long as the monitor says. Of predictions made at one moment the one that
    was written first counts.

    Args:
        spec: the monitor.
        rows: predictions in the order in which they were written; `_made` and the slot in UTC, and `_hindsight`.
        predicted: the column of predicted values, null where there is none.
        values: the columns that are no value where no prediction counts, `predicted` among them.
        by: the columns of entity and slot.
        unique: whether no two rows agree in these.

    Returns:
        The rows without `_made` and `_hindsight`, and with `_too_late` and `_too_early` (whether all that there is
        was made after that time, or some of it, or before the slot), `_corrections` (how many predictions followed
        the one that counts) and `_correction` (what the last of them says).
    """
    import polars as pl

    known = pl.col(predicted).is_not_null()
    early, in_time = _timing(spec)
    marked = rows.with_columns((in_time & known).alias(_COUNTS), (known & ~early).alias(_LATER))
    said = pl.col(predicted).filter(_LATER)
    extra = [said.len().alias(CORRECTIONS), said.slice(1).last().alias(CORRECTION), known.any().alias(TOO_EARLY)]
    if unique:
        nothing = pl.lit(None, rows.schema[predicted])
        chosen = marked.with_columns(
            pl.lit(1).alias(CORRECTIONS), nothing.alias(CORRECTION), known.alias(TOO_EARLY)
        )
    else:
        # Those that count come first; sorting is stable, so that of one moment the one written first is the first.
        ordered = marked.lazy().sort(~pl.col(_COUNTS), MADE, nulls_last=True, maintain_order=True)
        firsts = [pl.col(name).first() for name in marked.columns if name not in (*by, _LATER)]
        chosen = ordered.group_by(by).agg(*firsts, pl.col(_LATER).any(), *extra).collect()
    counts = pl.col(_COUNTS)
    chosen = chosen.with_columns(
        *(pl.when(counts).then(pl.col(name)).alias(name) for name in values),
        (~counts & pl.col(_LATER)).alias(TOO_LATE),
        (~counts & ~pl.col(_LATER) & pl.col(TOO_EARLY)).alias(TOO_EARLY),
        pl.when(counts).then(pl.col(CORRECTIONS).cast(pl.Int64) - 1).otherwise(0).alias(CORRECTIONS),
        pl.when(counts).then(CORRECTION).alias(CORRECTION),
    )
    return chosen.drop(_COUNTS, _LATER, MADE, HINDSIGHT)


class Standing(StrEnum):
    """What a prediction about now counts as."""

    COUNTS = "counts"
    CORRECTION = "correction"
    TOO_LATE = "too late"
    TOO_EARLY = "too early"


def standing(spec: MonitorSpec, rows: pl.DataFrame, predicted: str) -> list[Standing]:
    """What each of the predictions for one entity and slot counts as; columns and order as for `nowcasts`."""
    import polars as pl

    early, in_time = _timing(spec)
    marks = rows.select(MADE, early=early, counts=in_time & pl.col(predicted).is_not_null()).with_row_index()
    first = marks.filter("counts").sort(MADE, maintain_order=True)["index"].head(1).to_list()
    later = Standing.CORRECTION if first else Standing.TOO_LATE
    return [
        Standing.COUNTS if index in first else Standing.TOO_EARLY if is_early else later
        for index, is_early in marks.select("index", "early").iter_rows()
    ]


def _timing(spec: MonitorSpec) -> tuple[pl.Expr, pl.Expr]:
    """Whether a prediction was made before its slot, and whether in the time in which one counts."""
    import polars as pl

    moment, slot = pl.col(MADE), pl.col(spec.slot)
    early = (moment < slot).fill_null(value=False)
    in_time = ~early & moment.is_not_null() & ~pl.col(HINDSIGHT)
    if spec.within is not None:
        in_time &= moment <= slot + timedelta(seconds=spec.within)
    return early, in_time


def made_later(
    registry: Registry | None, rows: pl.LazyFrame, everything: pl.LazyFrame, have: pl.Schema, moment: pl.Expr
) -> pl.Expr:
    """Whether a prediction is of a version that was registered after the time that the prediction names.

    So it is in a past that is filled in again (`--at`), and the version may have learned from the slot's truth. A
    past that is filled in for the first time is not meant: by a version before which the model had none then, and
    none had predictions here. Nor is a run that registers a version and predicts with it.

    Args:
        registry: of the models; None if it is not to be asked.
        rows: the predictions.
        everything: all rows of their table, which are read only where a version is younger than a prediction.
        have: their columns.
        moment: when they were made, in UTC.
    """
    import polars as pl

    never = pl.lit(value=False)
    if registry is None or not set(_BY) <= set(have):
        return never
    model, version, run = (pl.col(name) for name in _BY)
    pair = model.cast(pl.String).alias("name"), version.cast(pl.Int64).alias("number")
    firsts = rows.group_by(pair).agg(moment.min().alias("first")).drop_nulls().collect()
    known = [(_version(registry, name, number), first) for name, number, first in firsts.iter_rows()]
    young = [own for own, first in known if own is not None and first + _SKEW < _time(own)]
    if not young:
        return never
    written = everything.select(pair).with_row_index("place").drop_nulls()
    firsts_written = written.group_by("name", "number").min().collect()
    places = {(name, number): place for name, number, place in firsts_written.iter_rows()}
    in_hindsight = []
    for own in young:
        versions = registry.state(own.name).versions.values()
        older = [(one.name, one.version) for one in versions if one.created < own.created]
        again = any(places[one] < places[own.name, own.version] for one in older if one in places)
        # Before the model had any version, whoever fills in that past predicts it for the first time.
        existed = pl.lit(value=True) if again else moment >= min(_time(one) for one in versions)
        is_own = (model.cast(pl.String) == own.name) & (version == own.version) & run.ne_missing(pl.lit(own.run))
        in_hindsight.append(is_own & existed & (moment + _SKEW < _time(own)))
    return reduce(lambda some, one: some | one, in_hindsight).fill_null(value=False)


def _version(registry: Registry, name: str, number: int) -> ModelVersion | None:
    try:
        return registry.get(name, number)
    except UnknownName:
        return None


def _time(version: ModelVersion) -> datetime:
    return datetime.fromtimestamp(version.created, UTC)


def nowcasts_in_words(counts: Iterable[Mapping[str, int]]) -> list[str]:
    """What later predictions, and those that do not count, come to in several windows, in words.

    Args:
        counts: the `nowcasts` of each window's figures.
    """
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    words = [f"too late: {total['too_late']:,}"] if total["too_late"] else []
    words += [f"made before their slot: {total['too_early']:,}"] if total["too_early"] else []
    if total["corrected"]:
        cases = f"{total['corrected']:,} case{'' if total['corrected'] == 1 else 's'}"
        words.append(f"predicted again later: {cases}, {total['judged_otherwise']:,} would be judged otherwise")
    return words


def judged_otherwise(observed: str, predicted: str, schema: pl.Schema, *, has_classes: bool) -> pl.Expr:
    """Whether the last correction would be judged otherwise than the prediction that counts.

    Numbers, if they differ; classes, if one is right and the other is not.

    Args:
        observed: the column of truths.
        predicted: the column of predictions that count.
        schema: of the cases.
        has_classes: whether numbers are classes.
    """
    import polars as pl

    names = (observed, predicted, CORRECTION)
    are_numbers = all(schema[name].is_numeric() or schema[name] == pl.Boolean for name in names)
    kind = pl.Float64 if are_numbers else pl.String
    truth, said, corrected = (pl.col(name).cast(kind) for name in names)
    differs = (said == truth) != (corrected == truth) if has_classes or not are_numbers else said != corrected
    return (pl.col(CORRECTIONS) > 0) & differs
