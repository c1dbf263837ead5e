"""Fuzz the REST API of a real server over a project with some of everything, with all of schemathesis' checks.

`make crash` does it for ten minutes; `tests/server/http/test_fuzz.py` for some seconds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.alerts.watched_project import pipelines as watched
from tests.envs import python_of
from tests.execution.command import Folder
from tests.server.served import PIPELINES, RunningServer, ServedProject

from trikk.models.registry import Registry
from trikk.models.version import ModelVersion
from trikk.storage.artifact import Artifact

MORE = """

from trikk import FeatureTable, Model, ModelVersion, approval
from trikk import publish as send
from trikk.runs.context import current_step
from trikk.triggers import Cron, Interval

loads = FeatureTable("loads", entity=["line", "stop"], time="known", features={"mean": pl.Float64})


@step
def publish(n: int) -> int:
    return n


@step
def count(totals: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame({"rows": [totals.height]})


@step
def judge(model: ModelVersion) -> int:
    return model.version


@pipeline
def judging():
    judge(Model("people@champion"))


@pipeline
def counting():
    Table("sums").append(count(totals))


@pipeline(triggers=[Cron("0 4 * * *", name="daily"), Interval("6h", name="often")])
def nightly(n: int = 1):
    publish(n)


@step
def measured() -> pl.DataFrame:
    known = datetime(2020, 3, 1, tzinfo=UTC)
    return pl.DataFrame({"line": ["4", "4", "5"], "stop": [1, 2, 1], "known": known, "mean": [0.5, None, 2.0]})


@step
def answer(counts: pl.DataFrame) -> pl.DataFrame:
    said = {"prediction_id": ["answer-1", "answer-2"], "value": [counts.height / 3, 1.0]}
    made = {"at": datetime(2020, 3, 1), "model": "people", "model_version": 1, "run": current_step().run}
    return pl.DataFrame({**said, **made})


@pipeline
def serving():
    rows = measured()
    loads.sync(loads.append(rows))
    send(rows, to="stream:forecast", key="line")
    Table("answers").append(answer(counts))


@pipeline
def asks(n: int):
    publish(n, after=approval("publish?", shows={"n": n}))
"""
_ACCEPTED = ["2xx", "3xx", "401", "403", "404", "409", "422", "429"]


def make_project(root: Path, more: str = "") -> ServedProject:
    """A project whose monitor has windows and an open incident, with a model, before it is served."""
    place = ServedProject(root, Path(watched.__file__).read_text() + PIPELINES + MORE + more)
    folder = Folder(root)
    for day, error, days in [("2020-03-01", 11, 1), ("2020-03-02", 15, 2)]:
        folder.good("run", "fill", "-p", f"day={day}", "-p", f"error={error}", "-p", f"days={days}")
    folder.good("watch", "--once", "--now", "2020-03-04T00:30")
    folder.good("run", "serving")
    registry, artifact = Registry(place.project.journal), Artifact("0" * 64, "pickle", 9, {})
    for number in (1, 2):
        registry.register(
            ModelVersion("people", 0, artifact, created=float(number), run="r1", metrics={"mae": 1.0})
        )
        registry.move("people", "champion", number, "main", by="ada", why="it is better", at=float(number))
    return place


def known_names(server: RunningServer) -> dict[str, list[Any]]:
    """What there is, by the name of a parameter: half of the requests ask for it."""
    runs = [server.run("add", n=1), server.run("fragile", file="nothing here")]
    runs.append(server.ended(server.post(f"/runs/{runs[0]['id']}/replay", None, 201)["id"]))
    asking = server.post("/runs", {"pipeline": "asks", "parameters": {"n": 1}}, 201)["id"]
    runs.append(server.ended(asking, "waiting"))
    ids = [run["id"] for run in runs]
    asked = {"pipelines": ["fill"], "from": "2020-04-01", "to": "2020-04-02", "parameters": {"error": "11"}}
    backfill = server.post("/backfills", asked, 201)["id"]
    return {
        "path.run": ids,
        "query.cursor": ids,
        "path.digest": [runs[0]["steps"][0]["outputs"][0]["digest"]],
        "path.trigger": ["daily", "often"],
        "path.table": [table["name"] for table in server.get("/tables")["tables"]],
        "query.version": [0, 1],
        "path.model": ["people"],
        "path.monitor": ["people"],
        "path.incident": [incident["id"] for incident in server.get("/incidents", all=True)["incidents"]],
        "path.step": ["total", "fails"],
        "path.backfill": [backfill],
        "query.runs": [",".join(ids[:2])],
        "query.versions": ["1,2", "champion,1"],
        "query.window": ["2020-03-01", "2020-03-02"],
        "path.prediction": ["answer-1", "answer"],
        "path.features": ["loads"],
        "query.key": ['{"line": "4", "stop": 1}', '{"line": "4", "stop": 77}'],
        "path.published": ["forecast"],
        "body.pipeline": ["add", "waits", "nightly"],
    }


def fuzz(server: RunningServer, folder: Path, seconds: int, *options: str) -> subprocess.CompletedProcess[str]:
    """Fuzz for so long; it ends with 0 if nothing was found."""
    settings = folder / "schemathesis.toml"
    settings.write_text(_settings(known_names(server)))
    # One worker: with several threads, Hypothesis's own reading of its source fails now and then on Python 3.11.
    command = [
        *(str(python_of("schemathesis").with_name("schemathesis")), f"--config-file={settings}", "run"),
        *(f"{server.url}/api/v1/openapi.json", "--checks=all", f"--max-time={seconds}", "--continue-on-failure"),
        # Some read all there is, and may take two minutes.
        *("--workers=1", "--max-examples=30", "--no-color", "--request-timeout=150", "--max-response-time=150"),
        *options,
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds + 120, check=False)


def _settings(names: dict[str, list[Any]]) -> str:
    """Names that there are; and that any route may refuse what fits its schema (`_ACCEPTED`).

    No schema knows a pipeline's parameters, or that a period ends after it begins (422).
    """
    lines = ["[checks.positive_data_acceptance]", f"expected-statuses = {json.dumps(_ACCEPTED)}"]
    for parameter, values in names.items():
        lines += [f'[dictionaries."{parameter}"]', f"values = {json.dumps(values)}"]
    lines.append("[parameters]")
    lines += [f'"{parameter}" = {{ dictionary = "{parameter}", probability = 0.5 }}' for parameter in names]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Fuzz the REST API of a real server.")
    parser.add_argument("--seconds", type=int, default=600)
    given, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="trikk-fuzz-") as folder:
        place = make_project(Path(folder) / "project")
        with place.server() as server:
            done = fuzz(server, Path(folder), given.seconds, *options)
        print(done.stdout, done.stderr)
        assert done.returncode == 0
        assert place.project.journal.check() == []


if __name__ == "__main__":
    main()
