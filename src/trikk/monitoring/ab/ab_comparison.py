"""A/B: two sides on exactly the same cases, their difference, how sure it is, and what to think of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

from trikk.core.errors import UnknownName, UsageError
from trikk.core.values import JSON
from trikk.drift.measures.correction import adjusted
from trikk.models.metrics.by_name import METRICS
from trikk.models.metrics.comparable import unseen_by_side
from trikk.models.metrics.metric import Metric
from trikk.models.metrics.own_metric import Better, is_place, short
from trikk.models.metrics.scoring import check_two
from trikk.models.registry import Registry
from trikk.monitoring.ab.class_losses import classes_known, labels_of_sides, of_classes
from trikk.monitoring.ab.losses import (
    GROUP,
    NUMBER,
    OTHER,
    Extent,
    LeftOut,
    Loss,
    Measure,
    Quotient,
    by_expression,
    each_without,
    stretches,
)
from trikk.monitoring.ab.metric_in_worker import Call, in_process
from trikk.monitoring.ab.pairs import DAY, Excluded, operands, paired
from trikk.monitoring.ab.resampling import Spread, spread, two_sided
from trikk.monitoring.ab.sides import Part, Side, parts_of, read_side, where_in_words
from trikk.monitoring.ab.verdict import Outcome, Rules, Verdict, detectable, judge
from trikk.monitoring.cases.case_columns import OBSERVED, PREDICTED
from trikk.monitoring.cases.slices import slice_texts
from trikk.monitoring.monitor_definition import MonitorSpec

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

# So many that an end of the interval moves by less than its second digit from seed to seed; fewer for slices, of
# which there are many.
RESAMPLES = 10_000
SLICE_RESAMPLES = 2_000
LEAST_WEEKS = 12


@dataclass(frozen=True, slots=True)
class Effect:
    """What was found on one group of cases."""

    slice: str  # the slice's column; "" for all cases
    value: str  # the slice's value as text; "" for all cases
    cases: int  # how many cases both sides predicted and whose truth is known
    first: float | None  # the first side's metric
    second: float | None  # the second side's, on the same cases
    spread: Spread  # their difference (of sizes, for a metric that is best near 0), second minus first
    verdict: Verdict  # what to think of the second side
    # for a slice, the probability of such a difference by chance, corrected for the number of slices
    chance: float | None = None

    @property
    def share(self) -> float | None:
        """The difference as a share of the first side's metric."""
        if not self.first or not math.isfinite(self.spread.difference):
            return None
        return self.spread.difference / abs(self.first)

    def to_json(self) -> dict[str, JSON]:
        """The effect as JSON; `difference` is in the metric's units."""
        s, v = self.spread, self.verdict
        interval: list[JSON] | None = None if s.low is None else [s.low, s.high]
        effect: dict[str, JSON] = {
            "slice": self.slice,
            "value": self.value,
            "cases": self.cases,
            "days": s.days,
            "first": self.first,
            "second": self.second,
            "difference": s.difference,
            "share": self.share,
            "interval": interval,
            "verdict": v.state,
            "reason": v.reason,
            "days_needed": v.days_needed,
        }
        return effect | ({} if self.chance is None else {"chance": self.chance})


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides compared."""

    monitor: str  # whose truth, key and days
    metric: str  # what they are compared by
    better: str  # lower, higher or zero
    first: str  # the side to beat, as written
    second: str  # the side that is judged
    days: tuple[date, date] | None  # the first and the last local day with cases; None without any
    whole: Effect  # all cases
    slices: tuple[Effect, ...] = ()  # each slice
    left_out: Excluded = field(default_factory=Excluded)  # how many cases it is not made on, and why
    detectable: float | None = None  # the least difference that these days would find; None without days
    over: str = "days"  # "days", or "weeks" where those vary more
    rules: Rules = field(default_factory=Rules)  # when a difference counts
    sources: tuple[tuple[Part, ...], ...] = ()  # what each side's tables have of it
    # the same in words, for versions and aliases that are not in the monitor's table alone
    places: tuple[str, ...] = ()
    # the classes of the truth that a side does not know, as texts, with how many cases have each
    unseen: Mapping[str, int] = field(default_factory=dict)
    unseen_words: tuple[str, ...] = ()  # the same in words, by side

    @property
    def sentence(self) -> str:
        """The verdict in a sentence."""
        verdict = self.whole.verdict
        if verdict.state is not Outcome.OPEN:
            return f"{self.second} is {verdict.state} than {self.first}: {verdict.reason}"
        more = verdict.days_needed
        days = "" if more is None else f"; about {more:,} more {'day' if more == 1 else 'days'} would tell"
        return f"not yet known whether {self.second} is better than {self.first}: {verdict.reason}{days}"

    def to_json(self) -> dict[str, JSON]:
        """The comparison as JSON: the figures of all cases at the top."""
        return {
            "monitor": self.monitor,
            "metric": self.metric,
            "better": self.better,
            "sides": [self.first, self.second],
            "from": None if self.days is None else self.days[0].isoformat(),
            "to": None if self.days is None else self.days[1].isoformat(),
            **{k: v for k, v in self.whole.to_json().items() if k not in ("slice", "value")},
            "confidence": self.rules.confidence,
            "over": self.over,
            "alike": self.whole.spread.alike,
            "detectable": self.detectable,
            "unpaired": list(self.left_out.unpaired),
            "unlabelled": self.left_out.unlabelled,
            "unpredicted": self.left_out.unpredicted,
            "unseen_classes": {**self.unseen},
            "unseen_words": list(self.unseen_words),
            "places": list(self.places),
            "sentence": self.sentence,
            "tables": [[part.to_json() for part in parts] for parts in self.sources],
            "slices": [one.to_json() for one in self.slices],
        }


def compare(
    spec: MonitorSpec,
    tables: Any,
    registry: Registry,
    first: str,
    second: str,
    *,
    environment: str = "main",
    metric: str = "",
    better: str = "",
    call: Call = in_process,
    start: date | None = None,
    end: date | None = None,
    rules: Rules | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare two sides on the cases that both predicted and whose truth is known.

    Args:
        spec: a monitor: its truth, key, slot, slices and days.
        tables: the project's.
        registry: the project's models.
        first: the side to beat; see `read_side`.
        second: the side that is judged.
        environment: whose aliases.
        metric: a name, or "module:function" of the author's own; the monitor's first by default.
        better: which way is better of an author's own, where it does not say so itself.
        call: what calls an author's function; in this process by default.
        start: the first local day of slots; from the beginning if not given.
        end: the last local day, included.
        rules: when a difference counts.
        seed: of the resampling.

    Raises:
        UnknownName: if a side names what is not there.
        UsageError: if it can't be compared by that metric, or the sides share no case with a truth.
    """
    chosen, place = _chosen(spec, metric or spec.metrics[0], better)
    rules = rules or Rules()
    sides = (read_side(first), read_side(second))
    parts = [parts_of(side, spec, tables, registry, environment) for side in sides]
    sides_with_parts = list(zip(sides, parts, strict=True))
    pairs, out, rows = paired(spec, sides_with_parts, tables.scan(spec.truth), start, end, registry)
    places = [where for side, of_side in sides_with_parts if (where := where_in_words(side, of_side, spec))]
    # After the sides were read, so that the reason can say what each of them has.
    if pairs.is_empty():
        raise _nothing_shared(out, first, second, places)
    if place:
        measure: Measure = LeftOut(chosen, partial(call, place))
    elif labels := labels_of_sides(spec, registry, chosen, (first, second), rows, pairs):
        measure = of_classes(chosen, labels, (first, second))
    else:
        measure, pairs = _of_numbers(spec, chosen, pairs, (first, second))
    comparison = _compared(spec, measure, sides, pairs, out, rules, seed)
    of_models = {side.text: of_side for side, of_side in zip(sides, rows, strict=True) if not side.column}
    unseen, words = unseen_by_side(pairs[OBSERVED], classes_known(spec, registry, of_models))
    comparison = replace(comparison, unseen=unseen, unseen_words=tuple(words))
    return replace(comparison, sources=tuple(map(tuple, parts)), places=tuple(places))


def _nothing_shared(out: Excluded, first: str, second: str, places: Sequence[str]) -> UsageError:
    """That there is no case to compare two sides on; and which there are."""
    reasons = ", ".join(out.in_words(first, second)) or "none at all"
    where = f" ({'; '.join(places)})" if places else ""
    return UsageError(
        f"{first} and {second} share no case whose truth is known{where}",
        next=f"there are {reasons}; let one of them predict in shadow, or wait for the truth",
    )


def _of_numbers(
    spec: MonitorSpec, metric: Metric, pairs: pl.DataFrame, names: tuple[str, str]
) -> tuple[Measure, pl.DataFrame]:
    """How days add up to a metric of numbers, and the cases as it takes them."""
    truths = pairs[OBSERVED].alias(f"{spec.truth}.{spec.observed}")
    for side, column in zip(names, (PREDICTED, OTHER), strict=True):
        check_two(metric, truths, pairs[column].alias(side))
    taken_out = partial(each_without, by_expression(metric))
    return Quotient(metric) if metric.above else LeftOut(metric, taken_out), operands(pairs, metric)


def _chosen(spec: MonitorSpec, name: str, better: str) -> tuple[Metric, str]:
    """The metric, and where it is the author's own: "module:function", which is not imported here."""
    own = spec.own.get(name)
    if own is None and not is_place(name):
        try:
            return spec.metric(name), ""
        except UnknownName as error:
            raise UnknownName("metric", name, {*spec.metrics, *METRICS}) from error
    place = name if own is None else str(own["function"])
    better = better or ("" if own is None else str(own["better"]))
    if not better:
        raise UsageError(
            f"it is not known which way {name} is better",
            next=f'say it: Metric({short(name)}, better="higher") in the monitor, or --better higher',
        )
    return Metric(name, Better(better), numeric=False), place


def _compared(
    spec: MonitorSpec,
    measure: Measure,
    sides: tuple[Side, Side],
    pairs: pl.DataFrame,
    out: Excluded,
    rules: Rules,
    seed: int,
) -> Comparison:
    days, loss = pairs[DAY].unique().sort(), measure.loss
    sums = _grouped(measure, pairs, days, None)[1]
    difference = spread(sums, loss, confidence=rules.confidence, resamples=RESAMPLES, seed=seed)[0]
    difference = replace(difference, days=len(days))
    # Days of one week may be alike in a way that neighbours do not show; the more cautious of both holds.
    weekly, over = _by_week(loss, sums, days, rules, seed), "days"
    if weekly is not None and weekly.error > difference.error:
        difference, over = replace(weekly, days=difference.days), "weeks"
    first, second = (_metric(loss, sums.sum(axis=0)[0, side]) for side in (0, 1))
    verdict = judge(difference, loss.better, rules, first or 0.0)
    if first is None or second is None:
        verdict = replace(verdict, reason=measure.why(pairs) or verdict.reason)
    whole = Effect("", "", pairs.height, first, second, difference, verdict)
    slices = [effect for column in spec.slices if column in pairs.columns
              for effect in _sliced(column, measure, pairs, days, rules, seed)]  # fmt: skip
    return Comparison(
        spec.name,
        loss.name,
        loss.better,
        sides[0].text,
        sides[1].text,
        (days[0], days[-1]),
        whole,
        tuple(_corrected(slices, rules)),
        out,
        detectable(difference, rules),
        over,
        rules,
    )


def _grouped(
    measure: Measure, pairs: pl.DataFrame, days: pl.Series, column: str | None
) -> tuple[list[tuple[str, int, int]], np.ndarray[Any, Any]]:
    """Each group's name, cases and days; and what each day, or stretch of days, adds."""
    import polars as pl

    name = pl.lit("") if column is None else slice_texts(pairs[column])
    order = pl.lit(0) if column is None else pl.col(column)
    named = pairs.with_columns(name.alias("_name"), order.alias("_order"))
    groups = named.group_by("_name").agg(pl.len(), pl.col(DAY).n_unique(), pl.col("_order").first())
    groups = groups.sort("_order", "_name", nulls_last=True).drop("_order").with_row_index(GROUP)
    numbers = pl.Series(stretches(len(days)) if measure.by_stretch else range(len(days)), dtype=pl.Int64)
    rows = named.join(groups.select("_name", GROUP), on="_name", maintain_order="left")
    rows = rows.with_columns(numbers.gather(days.search_sorted(rows[DAY])).alias(NUMBER))
    sums = measure.sums(rows.drop("_name", "_order"), Extent(int(numbers[-1]) + 1, groups.height))
    return [(text, int(count), int(of_days)) for _, text, count, of_days in groups.iter_rows()], sums


def _by_week(loss: Loss, sums: np.ndarray[Any, Any], days: pl.Series, rules: Rules, seed: int) -> Spread | None:
    """The difference with whole weeks resampled; None where there are too few of them, or days stand together."""
    import numpy as np

    weeks = days.dt.truncate("1w").rank("dense").to_numpy().astype(np.int64) - 1
    count = int(weeks[-1]) + 1
    # Stretches of days do not begin with weeks.
    if count < LEAST_WEEKS or len(sums) < len(days):
        return None
    whole = np.zeros((count, *sums.shape[1:]))
    np.add.at(whole, weeks, sums)
    return spread(whole, loss, confidence=rules.confidence, resamples=RESAMPLES, seed=seed)[0]


def _sliced(
    column: str, measure: Measure, pairs: pl.DataFrame, days: pl.Series, rules: Rules, seed: int
) -> list[Effect]:
    loss = measure.loss
    named, sums = _grouped(measure, pairs, days, column)
    spreads = spread(sums, loss, confidence=rules.confidence, resamples=SLICE_RESAMPLES, seed=seed)
    whole = sums.sum(axis=0)
    effects = []
    for number, ((value, count, of_days), per_unit) in enumerate(zip(named, spreads, strict=True)):
        one = replace(per_unit, days=of_days)
        first, second = (_metric(loss, whole[number, side]) for side in (0, 1))
        verdict = judge(one, loss.better, rules, first or 0.0)
        effects.append(Effect(column, value, count, first, second, one, verdict, _chance(one)))
    return effects


def _chance(one: Spread) -> float:
    """The probability of a difference at least as large if there were none."""
    if one.days < 2 or not math.isfinite(one.error):
        return 1.0
    if one.error == 0:
        # Every resample was the same: it is so, or it is no difference at all.
        return 1.0 if one.difference == 0 else 0.0
    return two_sided(one.difference / one.error, one.days - 1)


def _corrected(slices: Sequence[Effect], rules: Rules) -> list[Effect]:
    """Slices judged by their corrected probabilities, since of many some differ by chance."""
    chances = adjusted([one.chance or 0.0 for one in slices], "benjamini-hochberg")
    corrected = []
    for one, chance in zip(slices, chances, strict=True):
        verdict = one.verdict
        # Only what was decided is taken back: a correction makes nothing sure that was not.
        if verdict.state is not Outcome.OPEN and chance > 1 - rules.confidence:
            reason = f"among {len(slices)} slices such a difference is no surprise ({chance:.0%})"
            verdict = Verdict(Outcome.OPEN, reason)
        corrected.append(replace(one, chance=chance, verdict=verdict))
    return corrected


def _metric(loss: Loss, sums: np.ndarray[Any, Any]) -> float | None:
    value = float(loss.of(sums))
    return value if math.isfinite(value) else None
