"""trikk: a project written anew for every measurement and driven by the `trikk` command."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import partial
from importlib.metadata import version
from pathlib import Path

from benchmarks.cases import RESULTS
from benchmarks.contenders.floor import resumable
from benchmarks.jobs import Command, Entry, Job
from benchmarks.places import BIN, FLOWS, REPOSITORY, WORK

SOURCE = WORK / "source"
ENV = {"PYTHONPATH": str(SOURCE)}
LABEL = "trikk"
SETTINGS = 'name = "bench"\npipelines = ["pipelines"]\n'
HEAD = "import workload\nfrom trikk import pipeline, step\n\n\n"
STEPS = """@step
def first() -> int:
    return 1


@step
def add(value: int) -> int:
    return value + 1


@step
def last(value: int) -> int:
    return workload.last(value + 1)


"""
ONE = """@step
def single() -> int:
    return workload.last(1)


@pipeline
def bench():
    single()
"""
CHAIN = (
    STEPS
    + """@pipeline
def bench():
    value = first()
    for _ in range({middle}):
        value = add(value)
    last(value)
"""
)
FAN = (
    STEPS
    + """@step
def plus(value: int, number: int) -> int:
    return value + number


@step
def total(values: list[int]) -> int:
    return workload.last(sum(values))


@pipeline
def bench():
    start = first()
    total([plus(start, number) for number in range(workload.WIDTH)])
"""
)
FRAME = """import {module} as frames


@step
def make() -> frames.DataFrame:
    return workload.{module}_frame()


@step
def transform(frame: frames.DataFrame) -> frames.DataFrame:
    return workload.{module}_transform(frame)


@step
def consume(frame: frames.DataFrame) -> int:
    return workload.{module}_consume(frame)


@pipeline
def bench():
    consume(transform(make()))
"""
DELICATE = """@step
def zero() -> int:
    return 0


@step
def delicate(number: int, value: int) -> int:
    return workload.delicate(number, value)


@pipeline
def bench():
    value = zero()
    for number in range(1, workload.RESUME_STEPS + 1):
        value = delicate(number, value)
"""
BODIES = {
    "one": ONE,
    "chain50": CHAIN.format(middle=48),
    "chain2000": CHAIN.format(middle=1998),
    "fan50": FAN,
    "frame": FRAME.format(module="polars"),
    "frame_pandas": FRAME.format(module="pandas"),
    "resume10": DELICATE,
    "kill10": DELICATE,
}


class Trikk:
    """The package of this repository, copied first: an edit during a long run must not mix two versions."""

    name = "trikk"

    def __init__(self) -> None:
        self.commit = "unknown"

    def ready(self) -> str | None:
        """Usable when a pipeline of one step runs."""
        describe = ["git", "describe", "--always", "--dirty"]
        described = subprocess.run(describe, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        self.commit = described.stdout.strip() or self.commit
        shutil.rmtree(SOURCE, ignore_errors=True)
        shutil.copytree(REPOSITORY / "src", SOURCE, ignore=shutil.ignore_patterns("__pycache__"))
        trial = WORK / "trial"
        shutil.rmtree(trial, ignore_errors=True)
        trial.mkdir(parents=True)
        write_project(trial, ONE)
        command = drive(trial, "run", "bench")
        environ = {**os.environ, **command.env}
        finished = subprocess.run(
            command.argv, cwd=trial, env=environ, capture_output=True, text=True, check=False
        )
        if finished.returncode == 0:
            return None
        return (finished.stderr.strip().splitlines() or [f"exit code {finished.returncode}"])[-1]

    def versions(self) -> dict[str, str]:
        """Its own version, its commit and those of the libraries that carry it."""
        names = ("trikk", "polars", "pandas", "pyarrow")
        return {**{name: version(name) for name in names}, "commit": self.commit}

    def entries(self, case: str) -> list[Entry]:
        """Its lines in a case."""
        if case == "import":
            code = [str(BIN / "python"), "-c", "import trikk"]
            return [Entry(LABEL, lambda folder: Job(Command(code, folder, ENV)))]
        if case == "help":
            return [Entry(LABEL, lambda folder: Job(drive(folder, "--help")))]
        if case == "runs100k":
            return [Entry(f"{LABEL}, {count} runs", partial(self._runs, count)) for count in (100, 100_000)]
        if case == "memory":
            chains = ("chain50", "chain2000")
            return [
                Entry(f"{LABEL}, {chain}", partial(self._job, chain), runs=1, watch_memory=True)
                for chain in chains
            ]
        return [Entry(LABEL, partial(self._job, case))] if case in BODIES else []

    def _job(self, case: str, folder: Path) -> Job:
        write_project(folder, BODIES[case])
        command = drive(folder, "run", "bench")
        if case in ("resume10", "kill10"):
            return resumable(command, case, folder, lambda: drive(folder, "resume", "last"))
        return Job(command, expect=RESULTS[case], stored=folder / ".trikk")

    def _runs(self, count: int, folder: Path) -> Job:  # noqa: ARG002 - the filled journal is made once
        project = WORK / f"journal-{count}"
        if not (project / "filled").exists():
            shutil.rmtree(project, ignore_errors=True)
            project.mkdir(parents=True)
            write_project(project, ONE)
            fill = [str(BIN / "python"), str(FLOWS / "trikk_journal.py"), str(project), str(count)]
            subprocess.run(fill, check=True, env={**os.environ, **ENV})
            (project / "filled").touch()
        return Job(drive(project, "runs"))


def drive(folder: Path, *arguments: str) -> Command:
    """The `trikk` command in a project, over the copied source."""
    return Command([str(BIN / "trikk"), *arguments], folder, ENV)


def write_project(folder: Path, body: str) -> None:
    """A project of one pipeline, `bench`, with the shared workload beside it."""
    (folder / "trikk.toml").write_text(SETTINGS)
    (folder / "pipelines.py").write_text(HEAD + body)
    shutil.copy(FLOWS / "workload.py", folder)
