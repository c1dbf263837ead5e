"""The cases on which two sides are compared, and how many were left out of it, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from trikk.core.errors import UsageError
from trikk.core.zones import day_start, zone_of
from trikk.models.metrics.metric import Metric
from trikk.monitoring.ab.losses import OTHER
from trikk.monitoring.ab.sides import Part, Side, narrowed
from trikk.monitoring.cases.case_columns import OBSERVED, PREDICTED, PROBABILITY
from trikk.monitoring.cases.case_join import cases
from trikk.monitoring.monitor_definition import MonitorSpec

if TYPE_CHECKING:
    import polars as pl

    from trikk.models.registry import Registry

DAY = "_day"
_FOREVER = (datetime(1900, 1, 2, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Excluded:
    """How many cases two sides are not compared on."""

    unpaired: tuple[int, int] = (0, 0)  # with a truth, which only the first, and only the second, had predicted
    unlabelled: int = 0  # which both had predicted, and whose truth is not known
    unpredicted: int = 0  # with a truth, which neither had predicted, from their first predicted slot to the last

    def in_words(self, first: str, second: str) -> list[str]:
        """The reasons that there are, in words: "24 that only people:1 predicted"."""
        counts = {
            f"that only {first} predicted": self.unpaired[0],
            f"that only {second} predicted": self.unpaired[1],
            "that both predicted and whose truth is not known": self.unlabelled,
            "that happened and neither predicted": self.unpredicted,
        }
        return [f"{count:,} {why}" for why, count in counts.items() if count]


def paired(
    spec: MonitorSpec,
    sides: Sequence[tuple[Side, Sequence[Part]]],
    truth: pl.LazyFrame,
    start: date | None,
    end: date | None,
    registry: Registry | None = None,
) -> tuple[pl.DataFrame, Excluded, tuple[pl.DataFrame, pl.DataFrame]]:
    """The cases that both sides predicted and whose truth is known, with the local day of each in `_day`.

    With them how many are left out, and all cases that each side predicted.

    Args:
        spec: the monitor.
        sides: the first and the second side with their predictions; the second's values become `_other`, its
            probabilities `_other_probability...`.
        truth: the monitor's truth.
        start: the first local day of slots; from the beginning if None.
        end: the last local day, included.
        registry: of the models, for `cases`.

    Raises:
        UsageError: if the period is empty, the tables can't be joined, or it is not clear which prediction counts.
    """
    import polars as pl

    period = _period(spec, start, end)
    by, happened = [*spec.key, spec.slot], pl.col(OBSERVED).is_not_null()
    (left, meant), (right, _) = (_predicted(spec, side, parts, truth, period, registry) for side, parts in sides)
    left, right = _alike([left, right], spec.key)
    extra = [name for name in spec.slices if name in right.columns and name not in left.columns]
    shares = [pl.col(name).alias(OTHER + name) for name in right.columns if name.startswith(PROBABILITY)]
    both = left.join(right.select(*by, pl.col(PREDICTED).alias(OTHER), *shares, *extra), on=by).sort(by)
    known = both.filter(happened)
    # Truths from before a side existed are nobody's omission.
    slots = pl.concat([rows[spec.slot] for rows in (left, right)])
    meant = meant.filter(pl.col(spec.slot).is_between(slots.min(), slots.max()))
    truths, first, second = (int(rows.select(happened.sum()).item()) for rows in (meant, left, right))
    alone = (first - known.height, second - known.height)
    out = Excluded(alone, both.height - known.height, truths - known.height - sum(alone))
    local = pl.col(spec.slot).dt.convert_time_zone(spec.timezone)
    return known.with_columns(local.dt.date().alias(DAY)), out, (left, right)


def _predicted(
    spec: MonitorSpec,
    side: Side,
    parts: Sequence[Part],
    truth: pl.LazyFrame,
    period: tuple[datetime, datetime],
    registry: Registry | None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The cases that a side predicted, in whichever table; and all cases with a truth.

    A case that the monitor's table has is taken from there.
    """
    import polars as pl

    columns, by = truth.collect_schema().names(), [*spec.key, spec.slot]
    joined = []
    for part in parts:
        if part.frame is not None:
            plain = narrowed(spec, part.table, [*part.frame.collect_schema().names(), *columns])
            rows = cases(plain, part.frame, truth, *period, registry=registry, everything=part.everything)
            model_s = [name for name in rows.columns if side.column and name.startswith(PROBABILITY)]
            joined.append(rows.drop(model_s))
    frames = _alike([rows.filter(pl.col(PREDICTED).is_not_null()) for rows in joined], spec.key)
    if len(frames) == 1:
        return frames[0], joined[0]
    if any(_is_text(one) != _is_text(frames[0]) for one in frames):
        raise _several(side, parts, "of which some have texts, others numbers")
    first = frames.pop(0) if parts[0].table == spec.predictions else frames[0].clear()
    rest = pl.concat(frames, how="diagonal_relaxed").join(first.select(by), on=by, how="anti")
    if twice := rest.height - rest.select(by).n_unique():
        raise _several(side, parts, f"and {twice:,} cases are in more than one of them")
    return pl.concat([first, rest], how="diagonal_relaxed"), joined[0]


def _is_text(rows: pl.DataFrame) -> bool:
    import polars as pl

    return not (rows.schema[PREDICTED].is_numeric() or rows.schema[PREDICTED] == pl.Boolean)


def _several(side: Side, parts: Sequence[Part], why: str) -> UsageError:
    """That it is not clear which of several tables' predictions is meant."""
    usable = [part for part in parts if part.frame is not None]
    tables, counts = ", ".join(part.table for part in usable), ", ".join(f"{part.rows:,}" for part in usable)
    return UsageError(
        f"predictions of {side.text} are in several tables: {tables}, with {counts} rows, {why}",
        next=f"say which: table:{usable[0].table}/{side.text}",
    )


def _alike(frames: Sequence[pl.DataFrame], key: Sequence[str]) -> list[pl.DataFrame]:
    """Frames whose key is of the same types: text where one log has it so."""
    import polars as pl

    texts = [name for name in key if len({rows.schema[name] for rows in frames}) > 1]
    return [rows.with_columns(pl.col(texts).cast(pl.String)) for rows in frames]


def operands(pairs: pl.DataFrame, metric: Metric) -> pl.DataFrame:
    """Truth and both sides' predictions as the metric takes them."""
    import polars as pl

    named = {"the truth": OBSERVED, "the first side": PREDICTED, "the second side": OTHER}
    kinds = {name: pairs.schema[column] for name, column in named.items()}
    truth, first = metric.operands(pl.col(OBSERVED), pl.col(PREDICTED), kinds)
    _, second = metric.operands(pl.col(OBSERVED), pl.col(OTHER), kinds)
    return pairs.with_columns(truth.alias(OBSERVED), first.alias(PREDICTED), second.alias(OTHER))


def _period(spec: MonitorSpec, start: date | None, end: date | None) -> tuple[datetime, datetime]:
    zone = zone_of(spec.timezone)
    first, last = _FOREVER
    if start is not None:
        first = day_start(start, zone)
    if end is not None:
        last = day_start(end + timedelta(days=1), zone)
    if first >= last:
        raise UsageError(f"the period from {start} to {end} is empty", next="put the earlier day first")
    return first, last
