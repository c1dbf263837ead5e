"""`python -m benchmarks.drift`: 30 columns in trikk beside Evidently, the same tests in the same run.

Two frames of 500,000 rows: 25 columns of numbers, measured by the Wasserstein distance, and 5 of categories,
measured by the Jensen-Shannon distance, which is what both tools choose for so many rows. Both have the same rows;
reading them and imports do not count. Evidently runs in an environment of its own (`requirements/evidently.txt`),
in a fresh process for each round; trikk's rounds are between. That the numbers agree is checked in every round.

trikk is measured exactly (rows against rows), by sketches (summing up both sides, and comparing), and with
profiles that are there already, as a monitor has them.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks import machine
from benchmarks.places import BIN, ENVIRONMENTS, FLOWS, REPOSITORY
from trikk.drift import DriftReport, compare, profile
from trikk.drift.drift_report import Method

METHODS: dict[str, Method] = {
    **{f"number{i}": "wasserstein" for i in range(25)},
    **{f"category{i}": "jensen-shannon" for i in range(5)},
}


def frame(rows: int, seed: int, shift: float) -> pl.DataFrame:
    """Rows with 25 columns of numbers of several shapes, and 5 of categories."""
    draw = np.random.default_rng(seed)
    shapes: list[Callable[[], np.ndarray]] = [
        lambda: draw.normal(shift, 1, rows),
        lambda: draw.lognormal(shift, 1, rows),
        lambda: draw.poisson(30 * (1 + shift), rows).astype(float),
        lambda: draw.normal(20 + shift, 3, rows).round(1),
        lambda: np.where(draw.random(rows) < 0.7, 0.0, draw.exponential(3 + shift, rows)),
    ]
    numbers = {f"number{i}": shapes[i % 5]() for i in range(25)}
    texts = {f"category{i}": pl.Series(draw.integers(0, 5 + i * 5, rows)).cast(pl.String) for i in range(5)}
    return pl.DataFrame({**numbers, **texts})


def evidently_python() -> Path | str:
    """The interpreter of Evidently's environment, made if it is not there; or why it can't be."""
    folder = ENVIRONMENTS / "evidently"
    python = folder / "bin" / "python"
    if not python.exists():
        locked = REPOSITORY / "requirements" / "evidently.txt"
        uv = str(BIN / "uv")
        for arguments in (
            ["venv", "--quiet", "--python", getattr(sys, "_base_executable", sys.executable), str(folder)],
            ["pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), "-r", str(locked)],
        ):
            done = subprocess.run([uv, *arguments], capture_output=True, text=True, timeout=900, check=False)
            if done.returncode:
                return done.stderr.strip()
    return python


def by_evidently(python: Path, folder: Path) -> tuple[float, dict[str, float]]:
    """Seconds and numbers."""
    names = {name: "jensenshannon" if method == "jensen-shannon" else method for name, method in METHODS.items()}
    command = [str(python), str(FLOWS / "drift_evidently.py"), str(folder), json.dumps(names)]
    report = json.loads(
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    )
    return report["seconds"], report["values"]


def agree(report: DriftReport, values: dict[str, float]) -> None:
    """Raise AssertionError unless the numbers are the same (Evidently takes natural logarithms)."""
    for name, value in values.items():
        column = report[name]
        ours = (
            column.effect if column.method == "wasserstein" else (column.statistic or 0) * math.sqrt(math.log(2))
        )
        if not math.isclose(ours or 0, value, rel_tol=1e-5, abs_tol=1e-6):
            raise AssertionError(f"{name}: {ours} here, {value} in Evidently")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000, help="on each side")
    parser.add_argument("--repeat", type=int, default=3, help="rounds")
    parser.add_argument("--json", type=Path, help="where the samples go")
    options = parser.parse_args()
    before = machine.state()
    python = evidently_python()
    sides = frame(options.rows, 1, 0.0), frame(options.rows, 2, 0.05)
    profiles = [profile(side) for side in sides]
    ways: dict[str, Callable[[], DriftReport]] = {
        "trikk, rows": lambda: compare(*sides, methods=METHODS),
        "trikk, sketches": lambda: compare(profile(sides[0]), profile(sides[1]), methods=METHODS),
        "trikk, profiles there": lambda: compare(*profiles, methods=METHODS),
    }
    samples: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as name:
        for side, rows in zip(("reference", "current"), sides, strict=True):
            rows.write_parquet(f"{name}/{side}.parquet")
        for _ in range(options.repeat):
            reports = {}
            for way, run in ways.items():
                start = time.perf_counter()
                reports[way] = run()
                samples[way].append(time.perf_counter() - start)
            if isinstance(python, Path):
                seconds, values = by_evidently(python, Path(name))
                agree(reports["trikk, rows"], values)
                samples.setdefault("Evidently", []).append(seconds)
    print(f"{options.rows:,} rows x 30, load {before['load_at_start']} before and {machine.load()} after\n")
    if isinstance(python, str):
        print(f"skipped: Evidently: {python}\n")
    floor = statistics.median(samples["trikk, rows"])
    print("| | seconds | least | ratio |\n|---|---:|---:|---:|")
    for way, measured in samples.items():
        median = statistics.median(measured)
        print(f"| {way} | {median:.2f} | {min(measured):.2f} | {median / floor:.2f} |")
    if options.json:
        options.json.write_text(json.dumps({"machine": before, "samples": samples}, indent=1) + "\n")


if __name__ == "__main__":
    main()
