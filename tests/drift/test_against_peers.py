"""Evidently's and NannyML's numbers for the same samples, each library in an environment of its own.

Where definitions differ, the test says how: Evidently's Jensen-Shannon distance takes natural logarithms, and of
Kolmogorov and Smirnov's test it gives the p-value only.
"""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path

import polars as pl
import pytest
from tests.drift.samples import NUMBERS, numbers, texts
from tests.envs import python_of

from trikk.drift import ColumnDrift, compare

pytestmark = pytest.mark.slow
SIZES = (2000, 1500)


def samples() -> dict[str, tuple[pl.DataFrame, pl.DataFrame]]:
    found = {}
    for i, shape in enumerate(NUMBERS):
        sides = numbers(shape, SIZES[0], i), numbers(shape, SIZES[1], i + 50, 0.2)
        found[f"number {shape}"] = sides
    for kinds in (2, 6, 15):
        found[f"category {kinds}"] = texts(kinds, SIZES[0], kinds), texts(kinds, SIZES[1], kinds + 50, 1.0)
    return {name: tuple(pl.DataFrame({"v": side}) for side in sides) for name, sides in found.items()}  # type: ignore[misc]


def theirs(library: str, folder: Path) -> dict[str, dict[str, float]]:
    python = python_of(library)
    cases = []
    for name, sides in samples().items():
        cases.append({"name": name, "category": name.startswith("category")})
        for side, frame in zip(("reference", "current"), sides, strict=True):
            frame.write_csv(folder / f"{name}-{side}.csv")
    (folder / "cases.json").write_text(json.dumps(cases))
    script = Path(__file__).with_name("peer.py")
    done = subprocess.run(
        [python, script, library, folder], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def ours(name: str, method: str) -> ColumnDrift:
    return compare(*samples()[name], methods=method, correction=None)["v"]  # type: ignore[arg-type]


def test_evidently_gives_the_same_numbers(tmp_path: Path) -> None:
    for name, found in theirs("evidently", tmp_path).items():
        if name.startswith("number"):
            assert ours(name, "wasserstein").effect == pytest.approx(found["wasserstein"], rel=1e-6)
            assert ours(name, "ks").p_value == pytest.approx(found["ks"], abs=0.003)
        else:
            distance = ours(name, "jensen-shannon").statistic
            assert distance is not None
            assert distance * math.sqrt(math.log(2)) == pytest.approx(found["jensenshannon"], abs=1e-7)
            assert ours(name, "psi").statistic == pytest.approx(found["psi"], rel=1e-6)


def test_nannyml_gives_the_same_numbers(tmp_path: Path) -> None:
    for name, found in theirs("nannyml", tmp_path).items():
        if name.startswith("number"):
            assert ours(name, "wasserstein").statistic == pytest.approx(found["wasserstein"], rel=1e-6)
            assert ours(name, "ks").statistic == pytest.approx(found["kolmogorov_smirnov"], abs=1e-9)
        else:
            assert ours(name, "jensen-shannon").statistic == pytest.approx(found["jensen_shannon"], abs=1e-7)
            if name != "category 2":  # NannyML uses Yates' correction for two categories
                assert ours(name, "chi-square").statistic == pytest.approx(found["chi2"], rel=1e-9)
