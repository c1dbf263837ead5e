"""Probabilities made right by a reference: how often each class came where so much was said of it.

As NannyML does it (its documentation, "How it works: CBPE"): isotonic regression for each class against the rest,
and only where it helps on cases that it was not fitted on. It needs nothing of the reference but how many cases
there were near each probability, and how many of them were of the class: counts that days keep, and that add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trikk.core.values import JSON

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[tuple[int], np.dtype[np.float64]]

FOLDS, GROUPS = 10, 10
LEAST = 200
"""So many labelled cases make a reference; `estimate_error` asks for as many."""
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Curve:
    """How probable a class is where its model says so much: points with straight lines between them.

    Attributes:
        said: probabilities as the model gives them, ascending.
        right: what they come to, 0 to 1, never descending.
    """

    said: tuple[float, ...]
    right: tuple[float, ...]

    def of(self, said: Array) -> Array:
        """What probabilities come to; beyond the first and the last point as there."""
        import numpy as np

        return np.interp(said, self.said, self.right)


@dataclass(frozen=True, slots=True)
class Calibration:
    """How probabilities are made right.

    Attributes:
        curves: by class as text; a class that has none is taken at its word.
        cases: how many labelled cases of the reference it was made of.
        first: the label of the reference's first window; "" without one.
        last: the label of its last.
    """

    curves: dict[str, Curve] = field(default_factory=dict)
    cases: int = 0
    first: str = ""
    last: str = ""

    @property
    def lack(self) -> str:
        """Why nothing can be estimated by it; "" if it can."""
        few = f"the reference has {self.cases:,} labelled cases, and {LEAST} are asked for"
        return few if self.cases < LEAST else ""

    def to_json(self) -> dict[str, JSON]:
        """The calibration as JSON."""
        curves: dict[str, JSON] = {name: [[*c.said], [*c.right]] for name, c in self.curves.items()}
        return {"curves": curves, "cases": self.cases, "first": self.first, "last": self.last}

    @classmethod
    def read(cls, data: Any) -> Calibration:
        """The calibration that `to_json` wrote."""
        curves = {name: Curve(tuple(said), tuple(right)) for name, (said, right) in data["curves"].items()}
        return cls(curves, data["cases"], data["first"], data["last"])


def curve(said: Array, cases: Array, hits: Array) -> Curve:
    """The isotonic regression of hits on probabilities, as scikit-learn's `IsotonicRegression` gives it.

    Pool adjacent violators (Barlow, Bartholomew, Bremner and Brunk, 1972): neighbours that descend are taken
    together until none does. Of the places taken together the first and the last are points.

    Args:
        said: distinct probabilities, ascending.
        cases: how many cases there are at each, more than 0.
        hits: how many of them were of the class.
    """
    blocks: list[tuple[float, float, int, int]] = []  # hits, cases, first and last place
    for place, (count, hit) in enumerate(zip(cases.tolist(), hits.tolist(), strict=True)):
        block = (hit, count, place, place)
        while blocks and blocks[-1][0] * block[1] >= block[0] * blocks[-1][1]:
            before = blocks.pop()
            block = (before[0] + block[0], before[1] + block[1], before[2], block[3])
        blocks.append(block)
    ends = [(place, hit / count) for hit, count, *places in blocks for place in sorted(set(places))]
    return Curve(tuple(round(float(said[place]), _DIGITS) for place, _ in ends), tuple(y for _, y in ends))


def helps(said: Array, folds: Sequence[tuple[Array, Array]]) -> bool:
    """Whether a curve is nearer to the truth than the probabilities themselves, on cases it was not fitted on.

    Args:
        said: distinct probabilities, ascending.
        folds: at least two parts of the reference, each with its cases and hits at each probability.
    """
    import numpy as np

    cases, hits = (np.sum([fold[part] for fold in folds], axis=0) for part in (0, 1))
    found, weights, came = [], [], []
    for fold_cases, fold_hits in folds:
        rest = cases - fold_cases
        seen, tested = rest > 0, fold_cases > 0
        if not seen.any():
            return False
        fitted = curve(said[seen], rest[seen], (hits - fold_hits)[seen])
        found.append(fitted.of(said[tested]))
        weights.append(fold_cases[tested])
        came.append(fold_hits[tested])
    after = _gap(np.concatenate(found), np.concatenate(weights), np.concatenate(came))
    return _gap(said, cases, hits) > after


def _gap(said: Array, cases: Array, hits: Array) -> float:
    """The expected calibration error over ten groups of about as many cases each."""
    import numpy as np

    order = np.argsort(said, kind="stable")
    said, cases, hits = said[order], cases[order], hits[order]
    middle = (np.cumsum(cases) - cases / 2) / cases.sum()
    group = np.minimum((middle * GROUPS).astype(int), GROUPS - 1)
    gaps = np.abs(np.bincount(group, said * cases - hits, minlength=GROUPS))
    return float(gaps.sum() / cases.sum())
