"""Predictions beside the truth: one row for each entity and slot that either of them names."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from trikk.core.errors import UsageError
from trikk.core.zones import zone_of
from trikk.monitoring.cases.case_columns import (
    BASELINE,
    EXPECTED,
    LOWER,
    OBSERVED,
    PREDICTED,
    PROBABILITY,
    UPPER,
)
from trikk.monitoring.cases.nowcasts import HINDSIGHT, MADE, Standing, made_later, nowcasts, standing
from trikk.monitoring.cases.rejected_share import set_aside_rows, with_set_aside
from trikk.monitoring.cases.tasks import of_positive
from trikk.monitoring.cases.unseen import UNSEEN, Unseen
from trikk.monitoring.monitor_definition import TIME_PARTS, Made, MonitorSpec

if TYPE_CHECKING:
    import polars as pl

    from trikk.models.registry import Registry

_FORETOLD, _THEIRS = "_foretold", "_truth_"
_KEPT = ("prediction_id", "model", "model_version", "run")
_DAY = timedelta(days=1)


def cases(
    spec: MonitorSpec,
    predictions: pl.LazyFrame,
    truth: pl.LazyFrame,
    start: datetime,
    end: datetime,
    unseen: Unseen | None = None,
    registry: Registry | None = None,
    aside: pl.LazyFrame | None = None,
    everything: pl.LazyFrame | None = None,
) -> pl.DataFrame:
    """Join the predictions for the slots from `start` to `end` (not included) with their truth.

    Of several predictions for a slot the last one counts that was made before it, as people could act on that one;
    one that was made later counts only where there is no other. Of predictions made at one time, and of several
    truths, the last row counts, which is the one that was written last. Of predictions that are made after their
    slot, the first counts (`nowcasts`).

    Args:
        spec: the monitor.
        predictions: its predictions.
        truth: its ground truth.
        start: with its zone.
        end: with its zone.
        unseen: what says which predictions are of categories that are new to their model.
        aside: the rows that could not be predicted; None if the monitor does not ask.
        registry: of the models; without it no prediction is known to be made later than it says.
        everything: the table that the predictions are a part of; None if they are all of it.

    Returns:
        The key columns; the slot in UTC; `_predicted`, `_observed` (null where there is none; what is not finite
        is none); `_baseline`, `_lower`, `_upper`, `_expected_error` if the monitor has them; `_probability` (of
        the monitor's positive class, whichever a model calls so), or `_probability_<class>` for each class, if the
        predictions have them; the slices, those of a truth without
        a prediction as the truth has them; and, where the predictions have them, prediction_id, model,
        model_version and run; and `_unseen`, `_unseen_class`, if that is known of any model. Of predictions that
        are made after their slot also `_too_late`, `_too_early`, `_corrections` and `_correction` (`nowcasts`).

    Raises:
        UsageError: if a column is missing, or the tables' keys or slots are of kinds that can't be joined.
    """
    have, theirs = predictions.collect_schema(), truth.collect_schema()
    check_tables(spec, have, theirs)
    # After the check, which compares the types as they are: it allows this one difference and no other.
    truth, theirs = with_texts(spec, truth, have, theirs)
    by = [*spec.key, spec.slot]
    rows = within(spec, predictions, have, start, end)
    joined = _predictions(spec, rows, predictions if everything is None else everything, have, unseen, registry)
    if aside is not None:
        rejected = set_aside_rows(spec, within(spec, aside, _with_slot(spec, aside), start, end), have)
        joined = with_set_aside(joined, rejected.collect(), by)
    joined = _with_truths(spec, joined, within(spec, truth, theirs, start, end), theirs, have)
    joined = joined.with_columns(_time_parts(spec, joined.columns))
    # After the join: whether a class is new is a question to the truth, of the version that predicted the case.
    if unseen is not None:
        joined = unseen.with_classes(joined, PREDICTED, OBSERVED)
    if registry is None or PROBABILITY not in joined.columns:
        return joined
    return of_positive(spec, registry, joined)


def _predictions(
    spec: MonitorSpec,
    rows: pl.LazyFrame,
    everything: pl.LazyFrame,
    have: pl.Schema,
    unseen: Unseen | None,
    registry: Registry | None,
) -> pl.DataFrame:
    """The prediction that counts for each entity and slot, with its slices and what says who made it."""
    by, sliced = [*spec.key, spec.slot], _sliced(spec, have)
    values = {alias: _known(name, have) for alias, name in _columns_of_values(spec, have).items()}
    is_new = None if unseen is None else unseen.expression(rows, have)
    values |= {} if is_new is None else {UNSEEN: is_new}
    kept = [name for name in _KEPT if name in have and name not in (*by, *sliced)]
    order = _order(spec, rows, everything, have, registry)
    named = [expression.alias(name) for name, expression in values.items()]
    ordered = [expression.alias(name) for name, expression in order.items()]
    selected = rows.select(*by, *named, *sliced, *kept, *ordered).collect()
    return _chosen(spec, selected, list(values), by, list(order))


def _columns_of_values(spec: MonitorSpec, have: pl.Schema) -> dict[str, str]:
    """The predictions' columns of values, by what they are called among the cases."""
    columns = {PREDICTED: spec.prediction}
    columns |= {BASELINE: spec.baseline} if spec.baseline else {}
    columns |= dict(zip((LOWER, UPPER), spec.interval, strict=False))
    columns |= {EXPECTED: spec.expected_error} if spec.expected_error else {}
    return columns | probabilities(spec, have)


def _sliced(spec: MonitorSpec, have: pl.Schema) -> list[str]:
    """The slices that a table has, beside the key and the slot."""
    return [name for name in spec.slices if name in have and name not in (*spec.key, spec.slot)]


def _with_truths(
    spec: MonitorSpec, joined: pl.DataFrame, truth: pl.LazyFrame, theirs: pl.Schema, have: pl.Schema
) -> pl.DataFrame:
    """Predictions beside the truths; slices that both tables have are as the prediction has them, if it does."""
    import polars as pl

    shared = [name for name in _sliced(spec, have) if theirs.get(name) == have[name]]
    alone = [name for name in _sliced(spec, theirs) if name not in have]
    observed = _known(spec.observed, theirs).alias(OBSERVED)
    renamed = (pl.col(name).alias(_THEIRS + name) for name in shared)
    truths = truth.select(*spec.key, spec.slot, observed, *alone, *renamed).collect()
    joined = _joined(joined, truths, [*spec.key, spec.slot])
    joined = joined.with_columns(pl.coalesce(name, _THEIRS + name).alias(name) for name in shared)
    return joined.drop([_THEIRS + name for name in shared])


def probabilities(spec: MonitorSpec, have: pl.Schema) -> dict[str, str]:
    """The predictions' columns of probabilities, by what they are called among the cases, in the table's order."""
    head = spec.probability
    names = [name for name in have if name == head or name.startswith(f"{head}_")]
    return {PROBABILITY + name.removeprefix(head): name for name in names if head and have[name].is_float()}


def _with_slot(spec: MonitorSpec, aside: pl.LazyFrame) -> pl.Schema:
    """The columns of the table of rows that were set aside; UsageError if the slot is not among them."""
    import polars as pl

    schema = aside.collect_schema()
    if isinstance(schema.get(spec.slot), pl.Datetime):
        return schema
    raise UsageError(
        f"table {spec.set_aside} has no time in {spec.slot!r}, by which monitor {spec.name} finds its rows",
        next="give predict(..., slot=) the same column",
    )


def with_texts(
    spec: MonitorSpec, truth: pl.LazyFrame, have: pl.Schema, theirs: pl.Schema
) -> tuple[pl.LazyFrame, pl.Schema]:
    """The truth, its whole numbers and dates as texts where the predictions' key is text; and its columns then.

    Endpoints logged keys so before they knew the truth's types. They are compared exactly as the truth's value is
    written: "7" is 7, and "007" is not.
    """
    import polars as pl

    texts = [name for name in spec.key if have[name] == pl.String and _is_written_one_way(theirs[name])]
    if not texts:
        return truth, theirs
    return truth.with_columns(pl.col(texts).cast(pl.String)), pl.Schema(
        {**theirs, **dict.fromkeys(texts, pl.String())}
    )


def _is_written_one_way(dtype: pl.DataType) -> bool:
    import polars as pl

    return dtype.is_integer() or dtype == pl.Date


def _order(
    spec: MonitorSpec,
    rows: pl.LazyFrame,
    everything: pl.LazyFrame,
    have: pl.Schema,
    registry: Registry | None,
) -> dict[str, pl.Expr]:
    """What of a prediction says whether it counts among those for one slot."""
    import polars as pl

    if spec.made_at not in have:
        return {}
    made_at, kind = pl.col(spec.made_at), have[spec.made_at]
    if not isinstance(kind, pl.Datetime):
        return {spec.made_at: made_at}
    moment = made_at if kind.time_zone else made_at.dt.replace_time_zone("UTC")
    if spec.made is Made.AFTER:
        moment = moment.dt.convert_time_zone("UTC")
        return {MADE: moment, HINDSIGHT: made_later(registry, rows, everything, have, moment)}
    return {_FORETOLD: (moment <= pl.col(spec.slot)).fill_null(value=False), spec.made_at: made_at}


def standings(
    spec: MonitorSpec, rows: pl.DataFrame, predictions: pl.LazyFrame, registry: Registry
) -> list[Standing]:
    """What each of the predictions for one entity and slot counts as, of a monitor of predictions about now."""
    order = _order(spec, rows.lazy(), predictions, rows.schema, registry)
    value = _known(spec.prediction, rows.schema).alias(PREDICTED)
    return standing(spec, rows.select(moment_of(spec, rows.schema), value, **order), PREDICTED)


def _chosen(
    spec: MonitorSpec, rows: pl.DataFrame, values: list[str], by: list[str], order: list[str]
) -> pl.DataFrame:
    """The prediction that counts for each entity and slot."""
    unique = _is_unique(rows, by)
    if spec.made is Made.AFTER:
        return nowcasts(spec, rows, PREDICTED, values, by, unique=unique)
    if not unique:
        # Stable, so that of rows made at one time the one that was written last stays last.
        newest = rows.sort(order, maintain_order=True) if order else rows
        rows = newest.lazy().group_by(by).agg(_last(rows, by)).collect()
    return rows.drop(order)


def _joined(predictions: pl.DataFrame, truths: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Join each prediction with its truth; of truths with the same key the last counts."""
    if not _is_unique(truths, by):
        truths = truths.lazy().group_by(by).agg(_last(truths, by)).collect()
    return predictions.lazy().join(truths.lazy(), on=by, how="full", coalesce=True).collect()


def _is_unique(rows: pl.DataFrame, by: list[str]) -> bool:
    """Whether no two rows have the same key, by their hashes: it is never wrong where it says yes."""
    return rows.select(by).hash_rows().n_unique() == rows.height


def _last(rows: pl.DataFrame, by: list[str]) -> list[pl.Expr]:
    import polars as pl

    return [pl.col(name).last() for name in rows.columns if name not in by]


def within(spec: MonitorSpec, rows: Any, schema: pl.Schema, start: datetime, end: datetime) -> Any:
    """The rows whose slot is in a time, with the slot in UTC.

    A slot without a zone is meant in the monitor's. An hour that comes twice when clocks are put back is the first
    of the two; one that is left out when they are put forward is told by the clock as it was before.

    Args:
        spec: the monitor.
        rows: a frame, lazy or not.
        schema: its columns.
        start: with its zone.
        end: with its zone; not included.
    """
    import polars as pl

    slot = pl.col(spec.slot)
    if schema[spec.slot].time_zone is not None:  # type: ignore[attr-defined]
        return rows.filter((slot >= start) & (slot < end)).with_columns(slot.dt.convert_time_zone("UTC"))
    zone = zone_of(spec.timezone)
    first, last = (moment.astimezone(zone).replace(tzinfo=None) for moment in (start, end))
    near = rows.filter((slot >= first - _DAY) & (slot < last + _DAY))  # what a table's files can be left out by
    return near.with_columns(_utc(slot, spec.timezone)).filter((slot >= start) & (slot < end))


def moment_of(spec: MonitorSpec, schema: pl.Schema) -> pl.Expr:
    """The slot in UTC; one without a zone is meant in the monitor's, as `within` says."""
    import polars as pl

    slot = pl.col(spec.slot)
    if schema[spec.slot].time_zone is not None:  # type: ignore[attr-defined]
        return slot.dt.convert_time_zone("UTC")
    return _utc(slot, spec.timezone)


def _utc(slot: pl.Expr, timezone: str) -> pl.Expr:
    """A time without a zone as the moment that it means in a zone."""
    import polars as pl

    def moment(local: pl.Expr) -> pl.Expr:
        zoned = local.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
        return zoned.dt.convert_time_zone("UTC")

    # An hour that clocks leave out is null in polars: told by the clock of the day before, which had not
    # changed yet.
    return pl.coalesce(moment(slot), moment(slot - _DAY) + _DAY)


def _known(name: str, schema: pl.Schema) -> pl.Expr:
    """A column in which what is not finite is no value."""
    import polars as pl

    column = pl.col(name)
    return pl.when(column.is_finite()).then(column) if schema[name].is_float() else column


def _time_parts(spec: MonitorSpec, columns: list[str]) -> list[pl.Expr]:
    """Slices made of the slot's local time."""
    import polars as pl

    local = pl.col(spec.slot).dt.convert_time_zone(spec.timezone)
    parts = {
        "hour": local.dt.hour(),
        "weekday": local.dt.weekday(),
        "month": local.dt.month(),
        "date": local.dt.date(),
    }
    return [parts[name].alias(name) for name in spec.slices if name not in columns and name in TIME_PARTS]


def errors(predicted: pl.Series, observed: pl.Series) -> pl.Series:
    """Predictions minus truths where both are numbers or flags, as Float64; else whether they differ.

    Args:
        predicted: the predictions.
        observed: the truths, as many; null where either is null.
    """
    import polars as pl

    if all(column.dtype.is_numeric() or column.dtype == pl.Boolean for column in (predicted, observed)):
        return predicted.cast(pl.Float64) - observed.cast(pl.Float64)
    return predicted != observed


def _joins(predictions: pl.DataType, truth: pl.DataType) -> bool:
    """Whether a column of the predictions can be joined with the truth's; slots with and without a zone can."""
    import polars as pl

    if isinstance(predictions, pl.Datetime) and isinstance(truth, pl.Datetime):
        return predictions.time_unit == truth.time_unit
    return predictions == truth or (predictions == pl.String and _is_written_one_way(truth))


def check_tables(spec: MonitorSpec, predictions: pl.Schema, truth: pl.Schema) -> None:
    """Check that the tables of predictions and truth have what a monitor needs; UsageError if not."""
    import polars as pl

    optional = [name for name in (spec.baseline, spec.expected_error) if name]
    wanted = [spec.slot, *spec.key, spec.prediction, *optional, *spec.interval]
    for table, schema, columns in (
        (spec.predictions, predictions, wanted),
        (spec.truth, truth, [spec.slot, *spec.key, spec.observed]),
    ):
        missing = [name for name in columns if name not in schema]
        if missing:
            raise UsageError(
                f"table {table} has no column {missing[0]!r}, which monitor {spec.name} needs",
                next=f"it has {', '.join(schema.names())}; mend the monitor's definition",
            )
        if not isinstance(schema[spec.slot], pl.Datetime):
            raise UsageError(
                f"column {spec.slot!r} of table {table} is {schema[spec.slot]}, not a time",
                next="a slot is a Datetime",
            )
    if spec.made is Made.AFTER and not isinstance(predictions.get(spec.made_at), pl.Datetime):
        raise UsageError(
            f"table {spec.predictions} has no time in {spec.made_at!r}, which says when a prediction was made",
            next=f'name the column to monitor {spec.name}: made_at="..."; it has {", ".join(predictions.names())}',
        )
    for name in (*spec.key, spec.slot):
        if not _joins(predictions[name], truth[name]):
            raise UsageError(
                f"column {name!r} is {predictions[name]} in table {spec.predictions} and "
                f"{truth[name]} in {spec.truth}",
                next="give it one type in both; a new log (trikk endpoint --table NAME) takes the truth's",
            )
    unknown = [n for n in spec.slices if n not in predictions and n not in truth and n not in TIME_PARTS]
    if unknown:
        raise UsageError(
            f"neither table has a column {unknown[0]!r} to slice by", next=f"or use {', '.join(TIME_PARTS)}"
        )
