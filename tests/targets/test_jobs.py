"""Steps as jobs of an engine: the same results as at home, whatever is killed, run again or skipped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.execution.command import Folder
from tests.servers.s3 import S3Server
from tests.targets.job_runner import JobRunner

from trikk.runs.states import RunStatus, StepStatus
from trikk.targets.jobs.model_folder import read_model
from trikk.targets.jobs.step_job import parsed
from trikk.targets.sagemaker.sagemaker_target import SageMaker
from trikk.targets.target_port import Source

TOML = 'name = "jobs"\n'
CODE = """
import os
import random
from pathlib import Path
import polars as pl
from trikk import Retry, Table, log_metric, pipeline, step, when

counts = Table("counts")

@step
def days(n: int) -> list[int]:
    print("days of", n)
    return list(range(n))

@step
def noise(day: int) -> float:
    return random.random() + day

@step
def rows(days: list[int], noise: list[float]) -> pl.DataFrame:
    return pl.DataFrame({"day": days, "noise": noise})

@step
def total(counts: pl.LazyFrame, factor: float) -> dict[str, float]:
    log_metric("rows", counts.collect().height)
    return {"sum": counts.collect()["noise"].sum() * factor}

@step
def large(total: dict[str, float]) -> str:
    return "large"

@step
def small(total: dict[str, float]) -> str:
    return "small"

@step
def said(word: str) -> str:
    return word.upper()

@step(allow_failure=True)
def risky(n: int) -> int:
    raise ValueError("as it may")

@step
def after_risk(n: int) -> int:
    return n

@step(retry=Retry(3, delay="10ms"))
def flaky(n: int) -> int:
    marks = Path(os.environ.get("MARKS", "/nowhere"))
    if len(list(marks.glob("*"))) < 2:
        (marks / str(os.getpid())).touch()
        raise OSError("not yet")
    return n

@pipeline
def nightly(n: int = 3, factor: float = 2.0):
    numbers = days(n)
    frame = rows(numbers, noise.map(numbers))
    counts.append(frame)
    sums = total(counts, factor)
    with when(sums["sum"] > 1000):
        said(large(sums))
    with when(sums["sum"] <= 1000):
        small(sums)
    risk = risky(n)
    after_risk(risk)
    said.options(name="told")("after all", after=risk)
    flaky(n)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "project").mkdir()
    folder = Folder(tmp_path / "project")
    folder.write(trikk=TOML, pipelines=CODE)
    return folder


@pytest.fixture
def jobs(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobRunner:
    marks = tmp_path / "marks"
    marks.mkdir()
    monkeypatch.setenv("MARKS", str(marks))
    return JobRunner(folder.root, "nightly", str(tmp_path / "exchange"), parameters={"n": "4"})


def test_jobs_make_what_a_run_at_home_makes(jobs: JobRunner, folder: Folder) -> None:
    ended = jobs.run()
    assert [(step, done.stderr) for step, done in ended.items() if done.returncode] == []
    assert "days of 4" in ended["days"].stdout
    run = jobs.mirrored()
    assert run is not None
    assert run.state == RunStatus.SUCCEEDED
    assert {name for name, step in run.steps.items() if step.state == StepStatus.SKIPPED} == {
        "said",
        "large",
        "after_risk",
    }
    assert run.steps["risky"].allowed
    assert run.steps["flaky"].attempts == 3
    assert run.steps["noise"].count == 4
    assert run.origin == {"kind": "manual", "engine": "jobs", "execution": "first"}
    comparison = folder.trikk("replay", run.id, "--json").json
    assert comparison["identical"], json.dumps(comparison, indent=1)


def test_mirroring_again_adds_nothing(jobs: JobRunner) -> None:
    jobs.run()
    run = jobs.mirrored()
    assert run is not None
    before = jobs.project.journal.events(run.id)
    again = jobs.mirrored()
    assert again is not None
    assert jobs.project.journal.events(run.id) == before
    assert "days of 4" in (jobs.project.logs_of(run.id) / "days.1.log").read_text()


def test_a_job_that_is_run_again_does_nothing_more(jobs: JobRunner) -> None:
    code = jobs.prepared()[1]
    for step in ("days", "noise", "rows", "append_counts"):
        assert jobs.job(step, code).returncode == 0, step
    assert jobs.job("append_counts", code).returncode == 0
    assert jobs.project.tables.version("counts") == 0
    assert jobs.job("large", code).returncode == 1  # what comes before it has not been done


def test_jobs_in_a_bucket(
    folder: Folder, tmp_path: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    bucket = s3_server.new_bucket()
    folder.write(trikk=f'{TOML}[storage]\nartifacts = "s3://{bucket}/store"\ntables = "s3://{bucket}/tables"\n')
    marks = tmp_path / "marks"
    marks.mkdir()
    monkeypatch.setenv("MARKS", str(marks))
    jobs = JobRunner(folder.root, "nightly", f"s3://{bucket}/exchange")
    ended = jobs.run()
    assert [(step, done.stderr) for step, done in ended.items() if done.returncode] == []
    run = jobs.mirrored()
    assert run is not None
    assert run.state == RunStatus.SUCCEEDED


def test_a_step_goes_on_after_one_that_may_fail_and_whose_job_ended_without_a_word(jobs: JobRunner) -> None:
    code = jobs.prepared()[1]
    assert jobs.job("told", code).returncode == 0  # the job of `risky` was never there
    run = jobs.mirrored()
    assert run is not None
    assert run.steps["told"].state == StepStatus.SUCCEEDED
    assert jobs.job("after_risk", code).returncode == 0
    assert jobs.mirrored() is not None
    again = jobs.mirrored()
    assert again is not None
    assert again.steps["after_risk"].state == StepStatus.SKIPPED


def test_a_job_leaves_its_output_as_a_model(jobs: JobRunner, tmp_path: Path) -> None:
    code = jobs.prepared()[1]
    model, outcome = tmp_path / "model", tmp_path / "out" / "outcome.json"
    assert jobs.job("days", code, "--model", str(model), "--outcome", str(outcome)).returncode == 0
    assert read_model(model) == [0, 1, 2, 3]
    assert json.loads(outcome.read_text()) == {"state": "succeeded", "value": [0, 1, 2, 3], "is_true": True}


def test_a_parameter_s_value_may_begin_with_a_hyphen() -> None:
    options = ("pipeline", "execution", "engine", "exchange", "store", "code")
    given = ["step", *(word for name in options for word in (f"--{name}", "x"))]
    job = parsed([*given, "--parameter", "a", "--parameter", "--optional", "b", "-1 day", "--optional", "c", ""])
    assert job.parameters == {"a": "--parameter", "b": "-1 day"}


STREAMING = """
import polars as pl
from trikk import pipeline, publish, step

@step
def rows() -> pl.DataFrame:
    return pl.DataFrame({"n": [1, 2]})

@pipeline
def tells():
    publish(rows(), "stream:numbers", key="n")
"""


def test_what_a_job_publishes_into_a_stream_is_not_lost(folder: Folder, tmp_path: Path) -> None:
    folder.write(pipelines=STREAMING)
    jobs = JobRunner(folder.root, "tells", str(tmp_path / "exchange"))
    graph, code = jobs.prepared()
    assert jobs.job("rows", code).returncode == 0
    refused = jobs.job("publish", code, "--state", "")
    assert refused.returncode == 2
    assert "step publish leaves messages in stream:numbers in the project's folder" in refused.stderr
    assert jobs.job("publish", code).returncode == 0
    assert len(folder.trikk("tail", "stream:numbers").out.splitlines()) == 2
    problems = SageMaker().problems(Source(graph, jobs.project.settings, code))
    assert [problem.step for problem in problems if problem.what.startswith("it leaves messages")] == ["publish"]
