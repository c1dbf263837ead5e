from __future__ import annotations

import polars as pl
import pytest
from tests.drift.samples import numbers, texts

from trikk.core.errors import UsageError
from trikk.drift import ks, psi
from trikk.quality.checks import distribution

SAMPLES = {
    "numbers": ([*numbers("normal", 900, 1).tolist(), None, float("nan")], numbers("normal", 700, 2, 0.4)),
    "texts": (texts(8, 900, 1), texts(8, 700, 2, 1.0)),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_psi_and_ks_are_those_of_quality_gates(name: str) -> None:
    there, here = (pl.Series("v", values) for values in SAMPLES[name])
    full = there.drop_nulls().drop_nans() if name == "numbers" else there
    for measure, own in (("psi", psi), ("ks", ks)):
        if name == "numbers" or measure == "psi":
            theirs = distribution.distance(measure, here.to_frame().lazy(), "v", full.to_frame().lazy(), "v")
            assert own(there, here) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize(
    ("there", "here"), [([], [1.0]), ([1.0], [None]), ([1.0], ["a"]), ([[1]], [[1]]), (["a"], ["b"])]
)
def test_columns_without_a_distance_are_refused(there: list[object], here: list[object]) -> None:
    with pytest.raises(UsageError):
        ks(pl.Series(there), pl.Series(here))
