"""When a version may take an alias from another: a rule, two scores, and a verdict with its reason. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trikk.core.errors import UsageError
from trikk.core.record import Record
from trikk.models.metrics.own_metric import KNOWN, Better, is_place, place_of
from trikk.models.metrics.own_metric import Metric as Own

if TYPE_CHECKING:
    from trikk.models.metrics.metric import Metric
    from trikk.models.metrics.scoring import Score


class BetterBy(Record, frozen=True):
    """The candidate must be better than the holder by a margin.

    Attributes:
        margin: by how much at least; in units of the metric, or as a share of the holder's score.
        metric: a name in `trikk.models.metrics.by_name`, or "module:function".
        relative: whether the margin is a share.
        better: for an author's own metric, which way is better.
    """

    margin: float
    metric: str
    relative: bool = True
    better: str | None = None


def better_by(
    margin: float,
    *,
    metric: str | Own | Callable[..., float] = "mae",
    relative: bool = True,
    better: str | None = None,
) -> BetterBy:
    """A rule for `promote_if`: better than the present holder by a margin.

    Args:
        margin: 0.02 asks for 2 % less error (of the holder's); 0 for any improvement; -0.01 allows 1 % more.
        metric: a name that `metric_of` knows, such as mae, f1 or quantile_0.9; or your own: a `trikk.Metric`, a
            function of two numpy arrays (truths and values) at the top level of a module, or "module:function".
        relative: False if the margin is in units of the metric.
        better: for a function of your own: "lower" (the default), "higher", or "zero" for the nearer to zero.

    Raises:
        UsageError: if the margin is not a finite number, or the metric can't be one.
    """
    from trikk.models.metrics.by_name import metric_of

    if isinstance(margin, bool) or not isinstance(margin, int | float) or not math.isfinite(margin):
        raise UsageError(f"{margin!r} is not a margin", next="give a number: 0.02 for 2 %")
    if better is not None and better not in KNOWN:
        raise UsageError(f"better={better!r}", next=f"use one of {', '.join(KNOWN)}")
    if isinstance(metric, Own):
        better, metric = better or metric.better or None, metric.function or metric.name
    elif not isinstance(metric, str):
        metric = place_of(metric)
    if not is_place(metric):
        metric_of(metric)
    return BetterBy(float(margin), metric, relative, better)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the candidate takes the alias, and why."""

    promote: bool
    reason: str


def decide(
    rule: BetterBy, metric: Metric, candidate: Score, holder: Score | None, *, held_by: int | None
) -> Verdict:
    """Judge two scores on the same rows."""
    name, new = metric.name, candidate.value
    if holder is None:
        return Verdict(True, f"the first: {name} {new:.6g} on {candidate.rows:,} rows")
    old = holder.value
    gain = {Better.LOWER: old - new, Better.HIGHER: new - old, Better.ZERO: abs(old) - abs(new)}[metric.better]
    needed = rule.margin * abs(old) if rule.relative else rule.margin
    promote = gain >= needed and (gain > 0 or rule.margin < 0)
    share = f" ({abs(gain) / abs(old):.2%})" if old else ""
    change = "as good as" if gain == 0 else f"{'better' if gain > 0 else 'worse'} by {abs(gain):.4g}{share} than"
    wanted = f"{rule.margin:.2%}" if rule.relative else f"{rule.margin:.4g}"
    return Verdict(
        promote,
        f"{name} {new:.6g} is {change} {old:.6g} of version {held_by} on the same {candidate.rows:,} rows; "
        f"wanted: better by {'more than 0' if rule.margin == 0 else 'at least ' + wanted}",
    )
