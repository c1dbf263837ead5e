"""Figures of several windows or slices made one, without looking at the cases again. Pure.

Means, root mean squares and WAPE follow exactly from the parts; for what does not (a median, an AUC, the
coverage of intervals that not every case has), the mean of the parts by their number of cases stands in, marked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from trikk.monitoring.figures import Figures

_MEANS = ("mae", "bias", "accuracy", "brier", "logloss", "calibration")
Part = tuple[int, Mapping[str, float | None]]
"""A number of cases and the metrics over them."""


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
        rough: names of metrics that could not be had exactly.
    """

    predicted: int = 0
    observed: int = 0
    labelled: int = 0
    cases: int = 0
    metrics: dict[str, float | None] = field(default_factory=dict)
    baseline: dict[str, float | None] = field(default_factory=dict)
    own: dict[str, float | None] = field(default_factory=dict)
    rough: tuple[str, ...] = ()

    @property
    def coverage(self) -> float | None:
        """The share of predicted cases that have a truth; None if nothing was predicted."""
        return self.labelled / self.predicted if self.predicted else None


def pooled(figures: Iterable[Figures]) -> Pooled:
    """Take figures together; those of one window or slice stay exactly what they are."""
    found = list(figures)
    whole = [(f.labelled, f.metrics) for f in found]
    paired = [(f.cases, f.baseline) for f in found]
    own = [(f.cases, f.own) for f in found]
    return Pooled(
        predicted=sum(f.predicted for f in found),
        observed=sum(f.observed for f in found),
        labelled=sum(f.labelled for f in found),
        cases=sum(f.cases for f in found),
        metrics=_all(whole),
        baseline=_all(paired),
        own=_all(own),
        rough=tuple(name for name in _names(whole) if not _exact(name, whole)),
    )


def _names(parts: Sequence[Part]) -> list[str]:
    return list(dict.fromkeys(name for _, metrics in parts for name in metrics))


def _all(parts: Sequence[Part]) -> dict[str, float | None]:
    return {name: _rounded(combined(name, parts)) for name in _names(parts)}


def _known(name: str, parts: Sequence[Part]) -> list[tuple[int, float]]:
    return [(n, value) for n, metrics in parts if n and (value := metrics.get(name)) is not None]


def combined(name: str, parts: Sequence[Part]) -> float | None:
    """A metric over all cases of the parts; None if it is known of none."""
    known = _known(name, parts)
    if len(known) == 1:
        return known[0][1]
    total = sum(n for n, _ in known)
    if not total:
        return None
    if name == "rmse":
        return math.sqrt(sum(n * value**2 for n, value in known) / total)
    if name == "wape" and _exact(name, parts):
        errors = [(n, metrics["mae"], metrics["wape"]) for n, metrics in parts if n]
        sizes = sum(n * mae / wape for n, mae, wape in errors if mae is not None and wape)
        return sum(n * mae for n, mae, _ in errors if mae is not None) / sizes
    return sum(n * value for n, value in known) / total


def _exact(name: str, parts: Sequence[Part]) -> bool:
    """Whether a metric of the whole follows from those of the parts."""
    with_cases = [metrics for n, metrics in parts if n]
    if len(with_cases) <= 1 or name in _MEANS or name == "rmse" or name.startswith("quantile_"):
        return True
    return name == "wape" and all(m.get("mae") is not None and m.get("wape") for m in with_cases)


def _rounded(value: float | None) -> float | None:
    """To nine significant digits, as monitors keep figures."""
    return None if value is None else float(f"{value:.9g}")
