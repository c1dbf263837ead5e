from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from examples import demo

EXAMPLES = Path(demo.__file__).parent


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, capture_output=True, text=True, check=False, timeout=280
    )


def trikk(*arguments: str, cwd: Path) -> dict[str, object]:
    done = run("-m", "trikk.cli.main", *arguments, "--json", cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.fixture
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    done = run("-m", "trikk.cli.main", "init", "--example", request.param, str(folder), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("project", ["city", "trip_loads", "pumps", "device_release"], indirect=True)
def test_the_tests_of_a_copied_example_pass(project: Path) -> None:
    done = run("-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "tests", cwd=project)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("project", ["trip_loads"], indirect=True)
def test_trip_loads_runs_from_a_file_to_a_window(project: Path) -> None:
    source = project / "loads.parquet"
    made = (
        "import sys; sys.path.insert(0, 'tests'); from datetime import date;"
        "from test_trip_loads import counts; counts(date(2020, 1, 1), 60).write_parquet('loads.parquet')"
    )
    assert run("-c", made, cwd=project).returncode == 0
    night = ["--from", "2020-02-20", "--to", "2020-02-20", "--at", "23:59", "-p", f"source={source}"]
    trikk("backfill", "ingest", "train", "nightly", *night, "-p", "days=50", cwd=project)
    trikk("run", "ingest", "-p", f"source={source}", "-p", "day=2020-02-21", cwd=project)
    trikk("run", "watch_loads", cwd=project)
    day: Any
    (day,) = trikk("monitor", "loads", cwd=project)["windows"]  # type: ignore[misc]
    assert (day["label"], day["state"]) == ("2020-02-21", "final")
    whole = day["figures"][0]
    assert (whole["predicted"], whole["labelled"]) == (40, 40)
    assert whole["metrics"]["mae"] < whole["baseline"]["mae"] + 1
    assert len(trikk("models", "loads", cwd=project)["versions"]) == 2  # type: ignore[arg-type]


@pytest.mark.parametrize("project", ["pumps"], indirect=True)
def test_pumps_runs_from_the_real_readings_to_a_customers_page(project: Path) -> None:
    if find_spec("river") is None:
        pytest.skip("the package river is not installed")
    first = ["--from", "2026-02-28", "--to", "2026-02-28", "--at", "23:59", "-p", "days=7"]
    trikk("backfill", "ingest", "train", *first, cwd=project)
    nights = ["--from", "2026-03-10", "--to", "2026-03-11", "--at", "23:59", "--watch"]
    trikk("backfill", "ingest", "nightly", *nights, cwd=project)
    day: Any = trikk("monitor", "condition", "--window", "2026-03-10", cwd=project)
    whole = day["figures"][0]
    assert (day["state"], whole["predicted"], whole["labelled"]) == ("final", 234, 234)
    assert whole["metrics"]["recall"] > 0.8
    assert sum(count for *_, count in whole["confusion"]) == 234
    (incident,) = trikk("incidents", cwd=project)["incidents"]  # type: ignore[misc]
    assert incident["id"] == "condition.silent.pump.P17-1"
    trikk("report", "monthly", "--for", "2026-03", "--customer", "harbour", cwd=project)
    (page,) = project.glob(".trikk/reports/monthly/2026-03/harbour/report.html")
    assert "Harbour Authority" in page.read_text()
    assert "P01" not in page.read_text()


def test_the_demo_ends_by_itself_and_can_be_run_again(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    outputs = []
    for _ in range(2):
        done = run("-m", "examples.demo", str(folder), "--nights", "2", cwd=EXAMPLES.parent)
        assert done.returncode == 0, done.stdout + done.stderr
        outputs.append(done.stdout)
    assert "init --example city" in outputs[0]
    assert "init --example city" not in outputs[1]
    for output in outputs:
        assert "From 28 April, alert level 3: " in output
        assert "champion" in output
    windows = trikk("monitor", "people", cwd=folder)["windows"]
    labels = [(w["label"], w["state"]) for w in windows]  # type: ignore[attr-defined]
    assert [label for label, _ in labels] == ["2020-04-29", "2020-04-30", "2020-05-01"]
    assert labels[0][1] == "final"
    runs = trikk("runs", "--pipeline", "nightly", "--all", cwd=folder)
    assert len(runs["runs"]) == 3  # type: ignore[arg-type]
    predictions = pl.read_delta(str(folder / ".trikk" / "tables" / "predictions"))
    assert predictions.select("sensor", "slot").is_unique().all()
    assert len(trikk("models", "people", cwd=folder)["versions"]) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["trikk.toml", "notes.txt"])
def test_the_demo_touches_nothing_in_somebody_elses_folder(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text('name = "mine"\n')
    assert demo.main([str(tmp_path)]) == 2
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert "nothing was touched" in capsys.readouterr().err


def test_a_file_is_no_folder_for_the_demo(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert demo.main([str(tmp_path / "file")]) == 2


def test_the_summary_says_what_the_windows_say() -> None:
    def window(day: int, model: float | None, naive: float | None) -> dict[str, object]:
        figures = {
            "cases": 0 if model is None else 24,
            "own": {"mae": model, "wape": 0.1},
            "baseline": {"mae": naive},
        }
        return {"label": f"2020-03-{day}", "figures": [figures]}

    (sentence,) = filter(
        None, demo.summary([window(10, 10.0, 20.0), window(11, 30.0, 20.0), window(27, None, None)])
    )
    assert sentence == (
        "Until 20 March: in an hour at a counter the champion is off by 20 people (10% of those who came), "
        "the same hour last week by 20; the champion is nearer on 1 of 2 days."
    )


def test_the_examples_hold_no_data() -> None:
    assert {p.suffix for p in EXAMPLES.rglob("*") if p.is_file() and "__pycache__" not in p.parts} <= {
        ".py",
        ".md",
        ".toml",
    }


def test_the_example_of_nowcasts_runs_as_it_is_written(tmp_path: Path) -> None:
    page = (EXAMPLES.parent / "docs" / "nowcasts.md").read_text()
    code = page.split("```python\n")[1].split("```")[0]
    (tmp_path / "trikk.toml").write_text('name = "pumps"\npipelines = ["leaks"]\n')
    (tmp_path / "leaks.py").write_text(code)
    slots = pl.datetime_range(
        pl.datetime(2026, 3, 1), pl.datetime(2026, 3, 1, 1), "1h", time_zone="UTC", eager=True
    )
    pumps = pl.DataFrame({"pump": ["a", "b"]}).join(pl.DataFrame({"slot": slots}), how="cross")
    pumps.with_columns(bar=pl.Series([3.0, 3.0, 5.0, 5.0])).write_parquet(tmp_path / "readings.parquet")
    pumps.with_columns(leak=pl.Series([True, False, False, False])).write_parquet(tmp_path / "checked.parquet")
    for name in ("readings", "checked"):
        trikk("ingest", name, f"{name}.parquet", cwd=tmp_path)
    night = ("--from", "2026-03-01", "--to", "2026-03-01", "--at")
    trikk("backfill", "hourly", *night, "00:10", "-p", "hour=2026-03-01T00:00:00+00:00", cwd=tmp_path)
    trikk("run", "watch_leaks", cwd=tmp_path)
    day: Any
    (day,) = trikk("monitor", "leaks", cwd=tmp_path)["windows"]  # type: ignore[misc]
    before = day["figures"][0]
    assert (before["predicted"], before["metrics"]["accuracy"]) == (2, 1.0)
    # the rule has learned, and the day is run again: the hour that was predicted, and the one that was missed
    (tmp_path / "leaks.py").write_text(code.replace('rows["bar"] < 4.0', 'rows["bar"] < 0.0'))
    for hour in ("00", "01"):
        trikk("run", "hourly", "-p", f"hour=2026-03-01T{hour}:00:00+00:00", cwd=tmp_path)
    trikk("run", "watch_leaks", cwd=tmp_path)
    (day,) = trikk("monitor", "leaks", cwd=tmp_path)["windows"]  # type: ignore[misc]
    after = day["figures"][0]
    assert (after["predicted"], after["metrics"], day["restated"]) == (2, before["metrics"], 0)
    assert after["nowcasts"] == {"too_late": 2, "too_early": 0, "corrected": 2, "judged_otherwise": 1}
    shown = run("-m", "trikk.cli.main", "monitor", "leaks", cwd=tmp_path).stdout
    assert "too late: 2" in shown
    assert "predicted again later: 2 cases, 1 would be judged otherwise" in shown
    (case, *_) = trikk("monitor", "leaks", "--worst", "9", cwd=tmp_path)["cases"]  # type: ignore[misc]
    found: Any = trikk("explain", case["prediction_id"], cwd=tmp_path)
    assert (found["counts_as"], [one["counts_as"] for one in found["others"]]) == ("counts", ["correction"])
