"""Runs of an engine elsewhere in the journal: how they end there, what is told once, and how they go on here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.execution.command import Folder
from tests.targets.job_runner import JobRunner

from trikk.core.errors import RunError
from trikk.execution.resume import check_resumable
from trikk.runs.states import RunStatus, StepStatus
from trikk.targets.jobs.exchange import FolderExchange
from trikk.targets.jobs.execution_plan import read_plan
from trikk.targets.jobs.job_report import JobState, last_reports
from trikk.targets.mirroring.engine_status import EngineJob, EngineStatus, ExecutionState

CODE = """
import os, time
from pathlib import Path
from trikk import pipeline, step

@step
def first(n: int) -> int:
    return n + 1

@step
def second(n: int) -> int:
    wall = Path(os.environ["WALL"])
    if wall.exists():
        print("at the wall", flush=True)
        if wall.read_text() == "wait":
            time.sleep(600)
        raise ValueError("a wall")
    return n + 1

@step
def third(n: int) -> int:
    return n + 1

@pipeline
def chain(n: int = 1):
    third(second(first(n)))
"""


class Told:
    """An engine that says what a test tells it to, and remembers what it was asked to stop."""

    name = "jobs"

    def __init__(self, status: EngineStatus | None) -> None:
        self.says = status
        self.stopped: list[str] = []

    def status(self, execution: str, steps: Mapping[str, str]) -> EngineStatus | None:
        return self.says

    def stop(self, execution: str) -> None:
        self.stopped.append(execution)


@pytest.fixture
def wall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WALL", str(tmp_path / "wall"))
    return tmp_path / "wall"


@pytest.fixture
def jobs(tmp_path: Path, wall: Path) -> JobRunner:
    root = tmp_path / "project"
    root.mkdir()
    Folder(root).write(trikk='name = "chain"\n[targets.jobs]\n', pipelines=CODE)
    return JobRunner(root, "chain", str(root / ".trikk" / "exchange"))


def test_a_run_that_failed_there_is_resumed_here(jobs: JobRunner, wall: Path) -> None:
    wall.write_text("fail")
    assert jobs.run()["second"].returncode == 1
    running = jobs.mirrored(Told(EngineStatus(ExecutionState.RUNNING)))
    assert running is not None
    assert running.state == RunStatus.RUNNING
    assert jobs.project.is_driven(running.id)
    with pytest.raises(RunError, match="is at jobs, which calls it first"):
        check_resumable(jobs.project, running, None)
    failed = jobs.mirrored(Told(EngineStatus(ExecutionState.FAILED, "a step failed")))
    assert failed is not None
    assert (failed.state, failed.error) == (
        RunStatus.FAILED,
        "step second: ValueError: a wall (pipelines.py:17 in second)",
    )
    assert "at the wall" in (jobs.project.logs_of(failed.id) / "second.1.log").read_text()

    assert not jobs.project.is_driven(failed.id)
    wall.unlink()
    resumed = Folder(jobs.root).trikk("resume", failed.id, "--json").json
    assert resumed["state"] == "succeeded"
    assert [step["reused"] for step in resumed["steps"]] == [True, False, False]
    later = jobs.mirrored(Told(EngineStatus(ExecutionState.FAILED)))
    assert later is not None
    assert later.state == RunStatus.SUCCEEDED  # what goes on here is no more the engine's


def test_a_job_that_ran_again_there_goes_on_in_the_same_run(jobs: JobRunner, wall: Path) -> None:
    wall.write_text("fail")
    jobs.run()
    jobs.mirrored(Told(EngineStatus(ExecutionState.FAILED)))
    wall.unlink()
    assert [done.returncode for done in jobs.run().values()] == [0, 0, 0]
    run = jobs.mirrored(Told(EngineStatus(ExecutionState.SUCCEEDED)))
    assert run is not None
    assert run.state == RunStatus.SUCCEEDED
    assert (run.resumed, run.steps["second"].attempts, run.steps["first"].attempts) == (1, 2, 1)


def test_a_job_that_ended_without_a_word_is_lost(jobs: JobRunner, wall: Path) -> None:
    code = jobs.prepared()[1]
    jobs.job("first", code)
    job = EngineJob(ExecutionState.FAILED, "no capacity for ml.p5.48xlarge")
    run = jobs.mirrored(Told(EngineStatus(ExecutionState.FAILED, jobs={"second": job}, ended=2e9)))
    assert run is not None
    assert (run.state, run.ended) == (RunStatus.FAILED, 2e9)
    assert run.error == "step second: no capacity for ml.p5.48xlarge"
    assert run.steps["second"].error is not None
    assert run.steps["second"].error["kind"] == "lost"
    assert "third" not in run.steps or run.steps["third"].state == StepStatus.WAITING


def test_a_run_that_is_cancelled_here_is_stopped_there(jobs: JobRunner, wall: Path) -> None:
    code = jobs.prepared()[1]
    jobs.job("first", code)
    engine = Told(EngineStatus(ExecutionState.RUNNING))
    run = jobs.mirrored(engine)
    assert run is not None
    cancel = Folder(jobs.root).start("cancel", run.id, "--json")
    while not jobs.project.run(run.id).cancel_requested:
        time.sleep(0.05)
    jobs.mirrored(engine)
    assert engine.stopped == ["first"]
    jobs.mirrored(Told(EngineStatus(ExecutionState.STOPPED)))
    assert Folder(jobs.root).end(cancel).json["state"] == "cancelled"


def test_a_job_that_is_killed_is_done_again_and_nothing_twice(jobs: JobRunner, wall: Path, tmp_path: Path) -> None:
    wall.write_text("wait")
    code = jobs.prepared()[1]
    jobs.job("first", code)
    exchange = FolderExchange(Path(jobs.exchange))
    process = subprocess.Popen(
        [*_command(jobs, code), "second"], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    _wait_for_wall(process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert last_reports(exchange, "first")["second"].state == JobState.RUNNING
    wall.unlink()
    assert jobs.job("second", code).returncode == 0
    assert jobs.job("third", code).returncode == 0
    run = jobs.mirrored()
    assert run is not None
    assert (run.state, run.steps["second"].attempts) == (RunStatus.SUCCEEDED, 2)


def test_a_job_that_is_asked_to_end_says_so(jobs: JobRunner, wall: Path) -> None:
    wall.write_text("wait")
    code = jobs.prepared()[1]
    jobs.job("first", code)
    process = subprocess.Popen([*_command(jobs, code), "second"], stdout=subprocess.PIPE, text=True)
    _wait_for_wall(process)
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 1
    report = last_reports(FolderExchange(Path(jobs.exchange)), "first")["second"]
    assert (report.state, report.error) == (JobState.FAILED, "cancelled")


def test_jobs_that_come_together_go_by_one_plan(jobs: JobRunner, wall: Path) -> None:
    code = jobs.prepared()[1]
    processes = [subprocess.Popen([*_command(jobs, code), "first"]) for _ in range(3)]
    assert [process.wait(120) for process in processes] == [0, 0, 0]
    plan = read_plan(FolderExchange(Path(jobs.exchange)), "first")
    assert plan is not None
    run = jobs.mirrored()
    assert run is not None
    assert (run.id, run.lock["run"], run.lock["code"]) == (plan.run, plan.run, code)
    assert run.steps["first"].state == StepStatus.SUCCEEDED


def test_a_wrong_parameter_is_told_before_any_work(jobs: JobRunner, wall: Path) -> None:
    code = jobs.prepared()[1]
    done = jobs.job("first", code, "--parameter", "n", "many")
    assert done.returncode == 2
    assert "n: 'many' does not fit; give a whole number" in done.stderr
    assert "Traceback" not in done.stderr
    report = last_reports(FolderExchange(Path(jobs.exchange)), "first")["first"]
    assert report.state == JobState.FAILED
    assert "n: 'many'" in report.error


def test_the_command_mirrors_what_is_under_way(jobs: JobRunner, wall: Path) -> None:
    folder = Folder(jobs.root)
    assert folder.trikk("executions").out == "nothing new: no execution is under way\n"
    jobs.run()
    [run] = folder.trikk("executions", "--json").json["runs"]
    assert (run["state"], run["pipeline"]) == ("succeeded", "chain")
    assert folder.trikk("executions", "first").out.startswith(f"succeeded chain {run['id']}")
    assert folder.trikk("executions", "second").code == 2


def _wait_for_wall(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    while "at the wall" not in process.stdout.readline():
        assert process.poll() is None


def _command(jobs: JobRunner, code: str) -> list[str]:
    settings = jobs.project.settings
    command = [sys.executable, "-m", "trikk.targets.jobs.step_job", "--pipeline", jobs.pipeline]
    command += ["--execution", jobs.execution, "--engine", "jobs", "--exchange", jobs.exchange]
    return [*command, "--code", code, "--store", settings.location("artifacts")]
