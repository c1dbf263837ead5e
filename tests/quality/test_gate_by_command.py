"""A gate in a real project: blocked, looked at, mended, resumed, replayed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.execution.command import Folder, states_of

PIPELINES = """
import polars as pl
from pathlib import Path
from trikk import Table, pipeline, quality_gate, step
from trikk.quality import between, holds, not_null, refers_to

counts = Table("counts")
sensors = Table("sensors")

@step
def load() -> pl.DataFrame:
    return pl.read_csv(Path("rows.csv"))

@step
def total(rows: pl.DataFrame) -> int:
    Path("effects").open("a").write("total\\n")
    return int(rows["x"].sum())

@step
def flaky(rows: pl.DataFrame) -> int:
    if Path("broken").exists():
        raise ValueError("not yet")
    return rows.height

@pipeline
def by_table():
    quality_gate(counts, [not_null("id"), refers_to("id", sensors), holds(pl.col("x") < LIMIT)], name="counts_ok")
    total(counts)

@pipeline
def by_file():
    rows = load()
    quality_gate(rows, between("x", 0, LIMIT))
    total(rows)

@pipeline
def sorting():
    good, _, _ = quality_gate(load(), [not_null("x"), between("x", 0, LIMIT)], quarantine=Table("rejected"))
    flaky(good)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path)
    made.write(pipelines=PIPELINES.replace("LIMIT", "10"), trikk='name = "gates"\npipelines = ["pipelines"]\n')
    ingest(made, "sensors", {"id": [1, 2, 3]})
    ingest(made, "counts", {"id": [1, 2, 7], "x": [1, 2, 3]})
    (tmp_path / "rows.csv").write_text("id,x\n1,5\n2,50\n")
    return made


def ingest(folder: Folder, table: str, rows: dict[str, Any]) -> None:
    pl.DataFrame(rows).write_parquet(folder.root / "new.parquet")
    done = folder.trikk("ingest", table, "new.parquet")
    assert done.code == 0, done


def test_a_blocked_run_names_the_checks_keeps_the_report_and_goes_on_with_mended_tables(folder: Folder) -> None:
    run = folder.failed("run", "by_table")
    assert states_of(run) == {"counts_ok": "failed", "total": "waiting"}
    assert "blocked by 1 of 3 checks: refers_to(id)" in run["error"]
    assert folder.lines("effects") == []
    told = run["steps"][0]["error"]["message"]
    assert "refers_to(id): 1 of 3 rows fail, 33.33 %; expected: id found in the reference's id" in told
    assert (
        f"trikk artifacts {run['id']} quality-counts_ok.html --open; mend, then: trikk resume {run['id']}" in told
    )

    report = folder.root / "report.html"
    assert folder.trikk("artifacts", run["id"], "quality-counts_ok.html", "--out", str(report)).code == 0
    assert "<td>7</td>" in report.read_text()

    ingest(folder, "sensors", {"id": [7]})
    again = folder.good("resume", run["id"], "--with-current-data")
    assert states_of(again) == {"counts_ok": "succeeded", "total": "succeeded"}
    assert folder.good("replay", run["id"])


def test_a_blocked_run_goes_on_with_a_mended_check(folder: Folder) -> None:
    run = folder.failed("run", "by_file")
    folder.write(pipelines=PIPELINES.replace("LIMIT", "100"))
    assert folder.failed("resume", run["id"], "--with-locked-code")["state"] == "failed"
    again = folder.good("resume", run["id"], "--with-current-code")
    assert states_of(again) == {"load": "succeeded", "quality_gate": "succeeded", "total": "succeeded"}


def test_a_blocked_run_goes_on_with_a_mended_file(folder: Folder) -> None:
    run = folder.failed("run", "by_file")
    (folder.root / "rows.csv").write_text("id,x\n1,5\n2,6\n")
    again = folder.good("resume", run["id"], "--again", "load")
    assert states_of(again) == {"load": "succeeded", "quality_gate": "succeeded", "total": "succeeded"}
    assert folder.lines("effects") == ["total"]


def test_bad_rows_are_set_aside_once_and_show_prints_every_check(folder: Folder) -> None:
    (folder.root / "broken").touch()
    run = folder.failed("run", "sorting")
    shown = folder.trikk("show", run["id"]).out
    assert "1 of 2 rows set aside: 1 of 3 checks failed: between(x) on 1 of 2 rows" in shown
    lines = [line.split("  ") for line in shown.splitlines() if line.startswith("quality_gate  ")]
    checks = {cells[1].strip(): [cell.strip() for cell in cells[2:] if cell] for cells in lines}
    assert checks["between(x)"] == ["set aside", "1", "1 of 2 rows fail, 50.00 %"]
    assert checks["not_null(x)"] == ["passed", "0", "0 of 2 rows fail"]
    (folder.root / "broken").unlink()
    folder.good("resume", run["id"])
    folder.good("replay", run["id"])
    told = folder.trikk("tables", "rejected").out
    assert "version 0: 1 row," in told
    assert '{"id": 2, "x": 50}' in told
    assert "'verdict'" not in folder.trikk("show", run["id"], "quality_gate").out
