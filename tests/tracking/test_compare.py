from __future__ import annotations

from typing import Any

from tests.execution.command import Folder

from trikk.runs.run_state import RunState
from trikk.tracking.fold import RunRecord
from trikk.tracking.run_table import Facts, lay_out


def facts(packages: dict[str, str] | None = None, **more: Any) -> Facts:
    return Facts(RunState("r", **more), RunRecord("r"), packages or {})


def test_rows_name_everything_that_runs_may_differ_in() -> None:
    one = facts(
        {"polars": "1.9"},
        parameters={"rate": 0.1, "weeks": 8},
        lock={"tables": {"counts": 3}, "models": {"people@champion": {"version": 2}}, "code": "a" * 64, "seed": 1},
    )
    two = facts(
        {"polars": "2.1"}, parameters={"rate": 0.2, "weeks": 8}, lock={"tables": {"counts": 4, "new": None}}
    )
    rows = {(row.group, row.name): row for row in lay_out([one, two])}
    differing = {key: row.values for key, row in rows.items() if row.differs}
    assert differing == {
        ("parameter", "rate"): (0.1, 0.2),
        ("table", "counts"): (3, 4),
        ("model", "people@champion"): (2, None),
        ("code", "code"): ("aaaaaaaaaaaa", ""),
        ("code", "seed"): (1, None),
        ("package", "polars"): ("1.9", "2.1"),
    }
    assert rows["parameter", "weeks"].values == (8, 8)
    assert not any(row.differs for row in lay_out([one]))


def test_compare_shows_what_differs_side_by_side(folder: Folder) -> None:
    first = folder.good("run", "train", "-p", "learning_rate=0.1")["id"]
    second = folder.good("run", "train", "-p", "learning_rate=0.2", "-p", "days=5")["id"]
    found = folder.good("compare", first, second)
    assert found["runs"] == [first, second]
    rows = {(row["group"], row["name"]): row["values"] for row in found["rows"]}
    assert rows["parameter", "learning_rate"] == [0.1, 0.2]
    assert rows["parameter", "days"] == [[1, 2], [5]]
    assert ("parameter", "weeks") not in rows
    assert [round(v, 6) for v in rows["metric", "error"]] == [0.0, 0.01]
    everything = {(row["group"], row["name"]) for row in folder.good("compare", first, second, "--all")["rows"]}
    assert {("parameter", "weeks"), ("parameter", "depth"), ("code", "code")} <= everything
    text = folder.trikk("compare", first, second).out.splitlines()
    assert text[0].split() == [first, second]
    assert any(line.split() == ["parameter", "learning_rate", "0.1", "0.2"] for line in text)
    folder.refused("compare", first, "nothing")


def test_attempts_that_failed_or_died_keep_what_they_logged(folder: Folder) -> None:
    for how in ("raise", "killed"):
        (folder.root / "attempts").unlink(missing_ok=True)
        run = folder.good("run", "tried", "-p", f"how={how}")["id"]
        metrics = {m["name"]: m for m in folder.good("show", run)["metrics"]}
        assert metrics["attempt"]["value"] == 2.0
        assert metrics["burst"] == {"name": "burst", "step": "stubborn", "value": 49.0, "count": 50}
        assert "only-first" not in metrics
        events = folder.good("show", run, "--events")["events"]
        logged = [e["body"] for e in events if e["kind"] == "metric.logged"]
        assert sum(e["name"] == "only-first" for e in logged) == 1
        bursts = [(e["attempt"], e["index"]) for e in logged if e["name"] == "burst"]
        assert bursts == [(attempt, index) for attempt in (1, 2) for index in range(50)]


def test_items_of_a_mapped_step_are_told_apart(folder: Folder) -> None:
    folder.good("run", "made")
    metrics = {m["name"]: m["value"] for m in folder.good("show", "last")["metrics"]}
    assert metrics == {"item[0].square": 1.0, "item[1].square": 4.0, "item[2].square": 9.0}
    shown = folder.trikk("show", "last").out
    assert "METRIC" in shown
    assert "note.txt, report.html, dot.png" in shown


def test_a_replay_and_a_cached_step_have_the_metrics_of_the_step_that_ran(folder: Folder) -> None:
    folder.write(pipelines=CACHED)
    first = folder.good("run", "cached")["id"]
    second = folder.good("run", "cached")["id"]
    third = folder.good("run", "cached")["id"]
    rows = folder.good("compare", first, second, third)["rows"]
    assert next(row["values"] for row in rows if row["name"] == "mae") == [0.25] * 3
    again = folder.good("replay", third)["run"]
    assert [m["value"] for m in folder.good("show", again)["metrics"]] == [0.25]


CACHED = """
import trikk
from trikk import pipeline, step

@step(cache=True)
def fit() -> int:
    trikk.log_metric("mae", 0.25)
    return 1

@pipeline
def cached():
    fit()
"""


def test_clean_up_keeps_what_kept_runs_have_logged(folder: Folder) -> None:
    folder.good("run", "train")
    kept = folder.good("run", "train", "-p", "weeks=9")["id"]
    folder.good("gc", "--keep-last", "1", "--grace", "0s")
    folder.good("artifacts", kept, "notes", "--out", "notes.json")
    assert (folder.root / "notes.json").read_text().split() == ["{", '"weeks":', "9", "}"]
