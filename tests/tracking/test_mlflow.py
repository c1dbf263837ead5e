"""Against a real MLflow in an environment of its own: one server, and one pass through all that it is for."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.envs import python_of
from tests.execution.command import Done, Folder
from tests.tracking.mlflow_server import SECONDS, Server

PROJECT = Path(__file__).parent / "mlflow_project"


class InMlflow(Folder):
    """The command under the interpreter of the environment with MLflow."""

    def __init__(self, root: Path, python: Path) -> None:
        super().__init__(root)
        self.python = python

    def start(self, *arguments: str, cwd: Path | None = None, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.python), "-m", "trikk.cli.main", *arguments],
            cwd=cwd or self.root,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def mirror(self, *arguments: str, **variables: str) -> Done:
        return self.trikk("mirror", "mlflow", *arguments, "--json", timeout=240, **variables)


@pytest.fixture(scope="module")
def python() -> Path:
    return python_of("mlflow")


@pytest.fixture
def project(tmp_path: Path, python: Path) -> InMlflow:
    left_out = shutil.ignore_patterns("__pycache__", ".trikk")
    shutil.copytree(PROJECT, tmp_path / "project", ignore=left_out)
    return InMlflow(tmp_path / "project", python)


@pytest.fixture
def server(tmp_path: Path, python: Path) -> Iterator[Server]:
    (tmp_path / "server").mkdir()
    made = Server(python, tmp_path / "server")
    made.start()
    yield made
    made.stop()


def seldom(what: Callable[[], Any]) -> None:
    """Wait until something is true, without keeping the server busy with being asked."""
    end = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.3)


def by_id(runs: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Runs by trikk's ids; a second run with the same id is a failure."""
    found = {}
    for run in runs:
        tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
        assert tags["trikk.run"] not in found
        found[tags["trikk.run"]] = run | {
            "tags": tags,
            "params": {p["key"]: p["value"] for p in run["data"].get("params", [])},
            "metrics": {m["key"]: m["value"] for m in run["data"].get("metrics", [])},
        }
    return found


@pytest.mark.slow
def test_runs_figures_and_models_are_mirrored_once_though_processes_and_the_server_go_away(
    project: InMlflow, server: Server, tmp_path: Path
) -> None:
    good = project.good("run", "train")
    bad = project.failed("run", "train", "-p", "fail=true")
    away = project.mirror("--to", "http://127.0.0.1:9", "--attempts", "1")
    assert away.code == 1
    assert (away.json["runs"], away.json["left"]) == ([], 2)
    assert "127.0.0.1:9" in away.json["away"]

    shutil.copytree(project.root, tmp_path / "before")
    server.wait()
    killed = project.start("mirror", "mlflow", "--to", server.uri)
    seldom(server.runs)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()

    done = project.mirror("--to", server.uri)
    assert done.code == 0, done
    assert set(done.json["runs"]) <= {good["id"], bad["id"]}
    assert done.json["models"] == ["line:1"]
    runs = by_id(server.runs())
    assert set(runs) == {good["id"], bad["id"]}
    run = runs[good["id"]]
    _check_run(server, run, good)
    assert runs[bad["id"]]["info"]["status"] == "FAILED"
    assert "asked to fail" in runs[bad["id"]]["tags"]["trikk.error"]
    _check_model(server, run, good["id"])

    # one that has copied everything, and died before it wrote that down
    other = InMlflow(tmp_path / "before", project.python)
    again = other.mirror("--to", server.uri)
    assert set(again.json["runs"]) == {good["id"], bad["id"]}
    assert by_id(server.runs()).keys() == runs.keys()
    assert _history(server, run, "loss") == [(1 / (n + 1), n) for n in range(1_200)]
    assert len(server.ask("model-versions/search?filter=name%3D'line'")["model_versions"]) == 1

    # trikk.toml names the server: a run that is over is there soon after, and the command has not waited
    with (project.root / "trikk.toml").open("a") as settings:
        settings.write(f'\n[tracking]\nmlflow = "{server.uri}"\n')
    later = project.good("run", "train", "-p", "slope=3")["id"]
    seldom(lambda: by_id(server.runs()).get(later, {}).get("info", {}).get("status") == "FINISHED")


def _check_run(server: Server, run: dict[str, Any], was: dict[str, Any]) -> None:
    assert run["info"]["status"] == "FINISHED"
    assert run["params"]["slope"] == "2.0"
    assert run["params"]["text"] == "x" * 5_997 + "..."
    assert run["tags"]["trikk.code"] == was["lock"]["code"]
    assert run["tags"]["trikk.pipeline"] == "train"
    assert run["metrics"]["loss"] == 1 / 1_200
    assert run["metrics"]["odd _name__"] == 1
    assert str(run["metrics"]["val/nan"]) == "nan" or run["metrics"]["val/nan"] == "NaN"
    assert _history(server, run, "loss") == [(1 / (n + 1), n) for n in range(1_200)]
    found = server.ask(f"artifacts/list?run_id={run['info']['run_id']}")["files"]
    assert {file["path"] for file in found} >= {"plots", "rows.parquet", "settings.json"}


def _history(server: Server, run: dict[str, Any], key: str) -> list[tuple[float, int]]:
    path = f"metrics/get-history?run_id={run['info']['run_id']}&metric_key={key}&max_results=20000"
    found = server.ask(path)["metrics"]
    return sorted(((m["value"], int(m["step"])) for m in found), key=lambda m: m[1])


def _check_model(server: Server, run: dict[str, Any], made_by: str) -> None:
    (version,) = server.ask("model-versions/search?filter=name%3D'line'")["model_versions"]
    tags = {tag["key"]: tag["value"] for tag in version["tags"]}
    assert (tags["trikk.run"], tags["trikk.version"], tags["trikk.metric.mae"]) == (made_by, "1", "0.5")
    assert version["source"].endswith("/artifacts/models/line-1")
    files = server.ask(f"artifacts/list?run_id={run['info']['run_id']}&path=models/line-1")["files"]
    assert {"models/line-1/MLmodel", "models/line-1/trikk.json"} <= {file["path"] for file in files}


@pytest.mark.slow
def test_what_mlflow_logs_in_a_step_is_the_runs_own_and_no_server_is_asked(project: InMlflow) -> None:
    done = project.trikk(
        "run", "automatic", "--json", timeout=240, MLFLOW_TRACKING_URI="http://127.0.0.1:9", MLFLOW_RUN_ID="x"
    )
    assert done.json["steps"][0]["state"] == "succeeded", done
    shown = project.good("show", "last")
    metrics = {m["name"]: m["value"] for m in shown["metrics"]}
    assert metrics["training_r2_score"] == 1.0
    assert metrics["second/score"] == 0.5
    assert metrics["before"] == 1.0
    assert shown["logged_parameters"]["fit_intercept"] == "True"
    assert shown["logged_parameters"]["second/depth"] == "3"
    found = {a["name"]: a for a in shown["artifacts"]}
    assert {"estimator.html", "model", "second/pages"} <= set(found)
    assert found["model"]["artifact"]["codec"] == "folder"
    project.good("artifacts", "last", "model", "--out", "exported")
    assert (project.root / "exported" / "MLmodel").exists()
    assert not (project.root / "mlruns").exists()
    assert not list((project.root / ".trikk" / "runs").rglob("meta.yaml"))
