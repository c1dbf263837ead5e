"""Probabilities made right by a reference: how often each class came where so much was said of it.

As NannyML does it (its documentation, "How it works: CBPE"): isotonic regression for each class against the rest,
and only where it helps on cases that it was not fitted on. It needs nothing of the reference but how many cases
there were near each probability, and how many of them were of the class: counts that days keep, and that add up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.models.metrics.score_bins import Bins, ends_of, merged

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]

FOLDS = 10
LEAST = 200
"""So many labelled cases make a reference; `estimate_error` asks for as many."""


class Curve(Record, frozen=True, array_like=True):
    """How probable a class is where its model says so much: points with straight lines between them."""

    said: tuple[float, ...]  # probabilities as the model gives them, ascending
    right: tuple[float, ...]  # what they come to, 0 to 1, never descending

    def of(self, said: Array) -> Array:
        """What probabilities come to; beyond the first and the last point as there."""
        import numpy as np

        return np.interp(said, self.said, self.right)


class Calibration(Record, frozen=True):
    """How probabilities are made right."""

    # by class as text; a class that has none is taken at its word
    curves: dict[str, Curve] = msgspec.field(default_factory=dict)
    cases: int = 0  # how many labelled cases of the reference it was made of
    first: str = ""  # the label of the reference's first window; "" without one
    last: str = ""  # the label of its last
    others: int = 0  # how many windows were left out, as other versions predicted in them

    @property
    def lack(self) -> str:
        """Why nothing can be estimated by it; "" if it can."""
        of = " of the version that predicted" if self.others else ""
        few = f"the reference has {self.cases:,} labelled cases{of}, and {LEAST} are asked for"
        return few if self.cases < LEAST else ""

    def to_json(self) -> dict[str, JSON]:
        """The calibration as JSON, without how many windows were left out: that says why there is none."""
        return {name: part for name, part in super().to_json().items() if name != "others"}


def fitted(windows: Sequence[Mapping[str, Bins]]) -> dict[str, Curve]:
    """The curve of each class for which one helps, of histograms of probabilities.

    A class that the reference never has, or has alone, is taken at its word, as in NannyML. Whether a curve helps
    is asked of ten parts, each of every tenth window; of one window nobody asks.
    """
    import numpy as np

    curves = {}
    for name in sorted({name for window in windows for name in window}):
        parts = [merged(window.get(name, {}) for window in windows[first::FOLDS]) for first in range(FOLDS)]
        places = sorted({place for part in parts for place in part})
        counts = [np.array([part.get(place, (0, 0)) for place in places], np.float64) for part in parts if part]
        folds = [(count.sum(axis=1), count[:, 1]) for count in counts]
        cases, hits = (np.sum([fold[side] for fold in folds], axis=0) for side in (0, 1))
        ends = np.array([ends_of(place) for place in places])
        # Of a class that never or always came, a curve would say 0 or 1 for everything.
        if 0 < hits.sum() < cases.sum() and (len(folds) == 1 or helps(ends, folds)):
            curves[name] = curve(ends, cases, hits)
    return curves


def curve(ends: Array, cases: Array, hits: Array) -> Curve:
    """The isotonic regression of hits on probabilities, as scikit-learn's `IsotonicRegression` gives it.

    Pool adjacent violators (Barlow, Bartholomew, Bremner and Brunk, 1972): neighbours that descend are taken
    together until none does. What is taken together is level, from where the first begins to where the last ends.

    Args:
        ends: ranges of probabilities that do not overlap, ascending: two columns, the least and the greatest.
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
    points = [
        (float(ends[place, side]), hit / count)
        for hit, count, *places in blocks
        for side, place in enumerate(places)
    ]
    return Curve(tuple(said for said, _ in points), tuple(right for _, right in points))


def helps(ends: Array, folds: Sequence[tuple[Array, Array]]) -> bool:
    """Whether a curve has a better Brier score than the probabilities, on cases that it was not fitted on."""
    import numpy as np

    said = ends.mean(axis=1)
    cases, hits = (np.sum([fold[part] for fold in folds], axis=0) for part in (0, 1))
    gained = 0.0
    for fold_cases, fold_hits in folds:
        rest = cases - fold_cases
        seen = rest > 0
        if not seen.any():
            return False
        right = curve(ends[seen], rest[seen], (hits - fold_hits)[seen]).of(said)
        gained += float(np.sum(fold_cases * (said**2 - right**2) - 2 * fold_hits * (said - right)))
    return gained > 0
