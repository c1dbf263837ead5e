"""The checks in memory, on made-up readings: what is well is let through, and each thing that is wrong is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import device_release as project
import polars as pl
import pytest

from trikk.testing import InlineRun, MemoryJournal, MemoryStore, MemoryTables, run_inline


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """4,000 readings, of which every tenth is not normal, and then f1 is high."""
    row = pl.int_range(4000, eager=True)
    wrong = (row % 10 == 0).cast(pl.Int64)
    columns = [
        (wrong * 50 + row % 7 / 3).alias("f1"),
        *((row * n % 101 / 7).alias(f"f{n}") for n in range(2, 10)),
    ]
    path = tmp_path_factory.mktemp("file") / "readings.csv"
    pl.DataFrame([*columns, wrong.alias("anomaly")]).write_csv(path)
    return str(path)


@pytest.fixture(scope="module")
def kept(source: str) -> dict[str, Any]:
    """Where a candidate has been left."""
    kept: dict[str, Any] = {"journal": MemoryJournal(), "store": MemoryStore(), "tables": MemoryTables()}
    run = run_inline(project.candidate, **kept, source=source, rows=2000)
    assert run.state == "succeeded", run.error
    return kept


def check(kept: dict[str, Any], **more: Any) -> InlineRun:
    return run_inline(project.check_release, **kept, **more)


def test_a_good_candidate_is_let_through(kept: dict[str, Any]) -> None:
    run = check(kept)
    assert run.state == "succeeded", run.error
    assert "recall 100.0%" in run.output("verdict")


@pytest.mark.parametrize(
    ("bound", "told"),
    [
        ({"recall": 1.1}, "of the anomalies"),
        ({"kilobytes": 0}, "a device has room for 0 kB"),
        ({"milliseconds": 0.0}, "one in a hundred readings"),
    ],
)
def test_what_is_not_good_enough_is_told(kept: dict[str, Any], bound: dict[str, Any], told: str) -> None:
    run = check(kept, **bound)
    assert run.state == "failed"
    assert told in str(run.error)


def test_a_device_that_rounds_in_another_way_is_found_out(source: str) -> None:
    learn, known = project.readings(source, 2000)
    forest = project.fit(learn)
    file = project.exported(forest)
    assert project.parity(forest, file, known, 1e-9) <= 1e-9
    file.write_text(file.read_text().replace('"channel":0', '"channel":1'))
    with pytest.raises(project.PermanentError, match="judged differently on a device"):
        project.parity(forest, file, known, 1e-9)


def test_readings_that_no_sensor_can_have_stop_at_the_gate(source: str, tmp_path: Path) -> None:
    odd = pl.read_csv(source).with_columns(f3=pl.Series([0.0] * 3999 + [99_999.0]))
    odd.write_csv(tmp_path / "odd.csv")
    kept: dict[str, Any] = {"journal": MemoryJournal(), "store": MemoryStore(), "tables": MemoryTables()}
    assert run_inline(project.candidate, **kept, source=str(tmp_path / "odd.csv"), rows=2000).state == "succeeded"
    run = check(kept)
    assert run.state == "failed"
    assert "f3" in str(run.error)
