"""Figures of several windows or slices made one, as if of all their cases, without looking at these again. Pure.

Counts, sums and histograms add up; no figure is ever a mean of figures. AUC and average precision come from
histograms and say how far off they are at most; what does not follow from the parts, such as a median or an
author's own function, has no value, and the reason. Records of older builds kept no sums: what follows from their
figures and their number of cases is exact all the same, and for the rest the mean by cases stands in, marked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trikk.models.metrics.class_metrics import about_one, gap_of, unranked
from trikk.models.metrics.confusion import Confusion, counted, follows, undefined
from trikk.models.metrics.metric import RANKED
from trikk.models.metrics.score_bins import Bins, complete, from_flat, merged, over_classes
from trikk.monitoring.figures.window_figures import Figures, quotient

_MEANS = ("mae", "bias", "accuracy", "brier", "logloss", "calibration")
_ROUGH = ("precision", "recall", "f1", "auc", "coverage", "ece", "wape")
"""What is a mean by cases where older records have kept no more."""
NOT_ADDABLE = "it does not follow from the figures of its parts"
"""Why there is no median, and no figure of an author's own, of several windows or slices."""


@dataclass(frozen=True, slots=True)
class Pooled:
    """The figures of several windows or slices taken together.

    Attributes:
        predicted: cases with a prediction.
        observed: cases with a truth.
        labelled: cases with both.
        cases: the labelled cases that have a baseline, too.
        metrics: over the labelled cases; None where there are none.
        baseline: the baseline's, over `cases`.
        own: the prediction's, over `cases`.
        rough: names of metrics that are a mean of those of the parts, as older builds have kept no more.
        errors: by metric, what it is off by at most.
        reasons: by metric, why it has no value.
        confusion: rows of truth, predicted and count; None if not every part has kept them.
    """

    predicted: int = 0
    observed: int = 0
    labelled: int = 0
    cases: int = 0
    metrics: dict[str, float | None] = field(default_factory=dict)
    baseline: dict[str, float | None] = field(default_factory=dict)
    own: dict[str, float | None] = field(default_factory=dict)
    rough: tuple[str, ...] = ()
    errors: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    confusion: list[list[Any]] | None = None

    @property
    def coverage(self) -> float | None:
        """The share of predicted cases that have a truth; None if nothing was predicted."""
        return self.labelled / self.predicted if self.predicted else None


def pooled(figures: Iterable[Figures]) -> Pooled:
    """Take figures together; those of one window or slice stay exactly what they are."""
    parts = list(figures)
    whole = _side(parts, "")
    labelled = [one for one in parts if one.labelled]
    counts = [one.confusion for one in labelled]
    return Pooled(
        predicted=sum(one.predicted for one in parts),
        observed=sum(one.observed for one in parts),
        labelled=sum(one.labelled for one in parts),
        cases=sum(one.cases for one in parts),
        metrics={name: one.value for name, one in whole.items()},
        baseline={name: one.value for name, one in _side(parts, "baseline").items()},
        own={name: one.value for name, one in _side(parts, "own").items()},
        rough=tuple(name for name, one in whole.items() if one.rough),
        errors={name: one.error for name, one in whole.items() if one.error},
        reasons={name: one.reason for name, one in whole.items() if one.reason},
        confusion=_confusion(labelled, "").to_json() if counts and None not in counts else None,
    )


@dataclass(frozen=True, slots=True)
class _Value:
    """A metric of all cases: with what it is off by at most, or why it has none; and if it is but a mean."""

    value: float | None
    error: float = 0.0
    reason: str = ""
    rough: bool = False


def _side(figures: Sequence[Figures], side: str) -> dict[str, _Value]:
    """Every metric of the prediction (""), of the baseline ("baseline") or of the prediction beside it ("own")."""
    parts = [one for one in figures if (one.cases if side else one.labelled)]
    names = dict.fromkeys(name for one in figures for name in _metrics(one, side))
    return {name: _rounded(_value(name, side, [p for p in parts if name in _metrics(p, side)])) for name in names}


def _metrics(one: Figures, side: str) -> Mapping[str, float | None]:
    return getattr(one, side or "metrics")  # type: ignore[no-any-return]


def _value(name: str, side: str, parts: Sequence[Figures]) -> _Value:
    """A metric over all cases of parts that have some."""
    head = f"{side}:" if side else ""
    if not parts:
        return _Value(None)
    if len(parts) == 1:
        return _Value(_metrics(parts[0], side).get(name), reason=parts[0].reasons.get(head + name, ""))
    about = {one.scores.get(side or "metrics", {}).get("of") for one in parts if one.confusion is not None}
    # Counts of two classes add up whatever they are about; the recall of one and that of another do not.
    if about_one(name) and len(about) > 1:
        return _Value(None, reason=f"its parts are about other classes: {', '.join(sorted(map(_about, about)))}")
    sums = [_sums(name, side, one) for one in parts]
    if all(sums):
        above, below = (math.fsum(pair[place] for pair in sums if pair) for place in (0, 1))
        value = quotient((above, below), root=name == "rmse")
        return _Value(value, reason="" if value is not None else _why(name, head, parts))
    if all(one.confusion is not None for one in parts) and follows(name):
        counts = _confusion(parts, side)
        value = counted(name, counts)
        return _Value(value, reason="" if value is not None else undefined(name, counts))
    scores = [one.scores.get(side or "metrics", {}) for one in parts]
    if name == "ece" and all("gaps" in one for one in scores):
        return _Value(gap_of([math.fsum(one) for one in zip(*(one["gaps"] for one in scores), strict=True)]))
    if name in RANKED and all("bins" in one for one in scores):
        return _ranked(name, [{c: from_flat(flat) for c, flat in one["bins"].items()} for one in scores])
    # Only where a part is of an older build: newer ones have kept sums, and there is no excuse for a mean of
    # means.
    if name in _ROUGH and any(not one.sums for one in parts):
        return _mean(name, side, parts)
    return _Value(None, reason=_why(name, head, parts) or NOT_ADDABLE)


def _about(of: str | None) -> str:
    return "each of many" if of is None else of


def _why(name: str, head: str, parts: Sequence[Figures]) -> str:
    """The reason that the parts have for having no value, if none of them has one."""
    reasons = [one.reasons.get(head + name, "") for one in parts]
    return next(filter(None, reasons), "") if all(reasons) else ""


def _sums(name: str, side: str, one: Figures) -> Sequence[float] | None:
    """The sums of a metric above and below the line; of older records those that its value stands for."""
    kept = one.sums.get(f"{side}:{name}" if side else name)
    if kept is not None:
        return kept
    metrics, cases = _metrics(one, side), one.cases if side else one.labelled
    value = metrics.get(name)
    error = metrics.get("mae")
    if name == "wape" and value is None and error is not None:  # the truths were all 0
        return error * cases, 0.0
    if value is None:
        return None
    if name in _MEANS or name.startswith("quantile_"):
        return value * cases, cases
    if name == "rmse":
        return value**2 * cases, cases
    return (error * cases, error * cases / value) if name == "wape" and error is not None and value else None


def _confusion(parts: Sequence[Figures], side: str) -> Confusion:
    """The counts of all parts."""
    rows = [one.scores.get(side, {}).get("counts", []) if side else one.confusion or [] for one in parts]
    return Confusion.of((truth, said, count) for one in rows for truth, said, count in one)


def _ranked(name: str, parts: Sequence[Mapping[str, Bins]]) -> _Value:
    """AUC or average precision from histograms."""
    classes = dict.fromkeys(text for one in parts for text in one)
    bins = {text: merged(complete(one, text) for one in parts) for text in classes}
    measured = over_classes(name, bins)
    if measured is None:
        return _Value(None, reason=unranked(name, bins))
    return _Value(measured.value, measured.error)


def _mean(name: str, side: str, parts: Sequence[Figures]) -> _Value:
    """The mean by cases, of records of older builds that have kept no more."""
    known = [(one.cases if side else one.labelled, _metrics(one, side)[name]) for one in parts]
    defined = [(cases, value) for cases, value in known if value is not None]
    if len(defined) <= 1:
        return _Value(defined[0][1] if defined else None)
    return _Value(sum(c * value for c, value in defined) / sum(c for c, _ in defined), rough=True)


def _rounded(one: _Value) -> _Value:
    """To nine significant digits, as monitors keep figures."""
    if one.value is None:
        return one
    return _Value(float(f"{one.value:.9g}"), float(f"{one.error:.9g}"), one.reason, one.rough)
