"""Runs that wait: asked for by one process, locked and driven by another when their turn comes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from tests.execution.command import Folder

from trikk.core.clock import SystemClock
from trikk.core.errors import ParameterError, RunError
from trikk.execution.launch import leased
from trikk.execution.project import Project
from trikk.execution.queued_run import enqueue, start_queued
from trikk.execution.run_options import How
from trikk.execution.session import Session
from trikk.execution.workers.process_executor import ProcessExecutor
from trikk.pipeline.graph import Graph
from trikk.runs.events import EventKind
from trikk.runs.journals.journal import Cause, Event

CODE = """
import time

import polars as pl
from trikk import Table, pipeline, step

counts = Table("counts")

@step
def rows(start: int) -> pl.DataFrame:
    return pl.DataFrame({"n": list(range(start))})

@step
def height(counts: pl.DataFrame) -> int:
    return counts.height

@pipeline
def fill(start: int = 3):
    counts.append(rows(start))

@step
def sleep() -> None:
    time.sleep(60)

@pipeline
def measure():
    height(counts)

@pipeline
def slow():
    sleep()
"""


@pytest.fixture
def city(folder: Folder) -> Iterator[Project]:
    folder.write(pipelines=CODE)
    project = Project.open(folder.root)
    yield project
    project.close()


def asked(project: Project, session: Session, pipeline: str, number: int, **parameters: Any) -> str:
    cause = Cause("trigger/t", "tick.started", f"tick/{number}")
    origin = {"kind": "trigger", "trigger": "t", "tick": str(number)}
    added = enqueue(project, session.graph(pipeline), parameters, origin, cause, at=5.0)
    return str(added.entry.body["run"])


def test_a_run_that_waited_is_locked_to_the_tables_of_the_moment_it_starts(city: Project, folder: Folder) -> None:
    with Session(city, How()) as session:
        first, waiting = asked(city, session, "fill", 1), asked(city, session, "measure", 2)
        assert asked(city, session, "fill", 1) == first
    state = city.run(waiting)
    assert (state.state, state.is_locked, state.origin["tick"]) == ("queued", False, "2")
    # The table is not there when the second one is asked for; it sees what the first one writes.
    for run in (first, waiting):
        assert folder.trikk("resume", run).code == 0
    state = city.run(waiting)
    assert (state.state, state.lock["tables"], state.lock["run"]) == ("succeeded", {"counts": 0}, waiting)
    assert state.lock["moment"] == state.created == 5.0
    assert folder.trikk("replay", waiting).code == 0
    city.journal.forget(waiting, at=9.0)
    with pytest.raises(RunError, match="has no graph: it was forgotten by clean-up"):
        city.graph(city.run(waiting))


def test_a_wrong_parameter_is_refused_before_anything_is_written(city: Project) -> None:
    with Session(city, How()) as session, pytest.raises(ParameterError):
        asked(city, session, "fill", 1, start="many")
    assert city.journal.runs() == []
    assert city.journal.entries("trigger/t") == []


def test_a_run_that_became_wrong_while_it_waited_fails_with_the_reason_and_can_be_started_later(
    city: Project, folder: Folder
) -> None:
    with Session(city, How()) as session:
        run = asked(city, session, "measure", 1)
    assert folder.trikk("show", run).code == 0
    assert folder.trikk("gc").code == 0
    assert folder.trikk("resume", run).code == 1
    state = city.run(run)
    assert (state.state, state.is_locked) == ("failed", False)
    assert "reads table counts, which does not exist yet" in str(state.error)
    assert folder.trikk("doctor").code == 0
    assert folder.trikk("run", "fill").code == 0
    assert folder.trikk("resume", run).code == 0
    assert city.run(run).error is None


def test_a_run_that_waits_is_cancelled_and_no_damage(city: Project, folder: Folder) -> None:
    with Session(city, How()) as session:
        run = asked(city, session, "fill", 1)
    doctor = folder.trikk("doctor")
    assert (doctor.code, f"run {run} of fill waits to be started" in doctor.out) == (0, True)
    assert f"resume it: trikk resume {run}" in folder.trikk("replay", run).err
    assert folder.trikk("cancel", run).code == 0
    assert city.run(run).state == "cancelled"
    assert folder.trikk("resume", run).code == 0
    assert (city.run(run).state, city.run(run).cancel_requested) == ("succeeded", None)


def test_a_run_that_is_cancelled_while_its_code_is_imported_is_cancelled(city: Project) -> None:
    class Importing(ProcessExecutor):
        def graphs(self) -> dict[str, Graph]:
            if not asked_to_stop:
                kind = EventKind.RUN_CANCEL_REQUESTED
                asked_to_stop.append(city.journal.append(run, kind, {"by": "kari"}, at=6.0))
            return super().graphs()

    asked_to_stop: list[Event] = []
    with Session(city, How()) as session:
        run = asked(city, session, "slow", 1)
    clock = SystemClock()
    with leased(city.journal, run, clock) as lease, closing(Importing(city.settings)) as executor:
        state = start_queued(city, executor, city.run(run), lease, How(clock=clock))
    assert (state.state, state.error) == ("cancelled", "cancelled by kari")
