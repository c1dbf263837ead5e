"""Servers that go by triggers: two on one project, one of them killed, and every second has one run."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.execution.command import until
from tests.server.schedule.places import rows_of, ticks_of
from tests.server.served import ServedProject

from trikk.runs.journals.journal import RunRow
from trikk.runs.states import RunStatus

CODE = """
from trikk import pipeline, step
from trikk.triggers import Event, Interval

@step
def note(event: Event) -> str:
    return event.id

@pipeline(triggers=[Interval("1s", name="beat", missed="all", overlap="allow")])
def second(event: Event):
    note(event)
"""
FLOW = """
import polars as pl
from trikk import Table, pipeline, step
from trikk.triggers import AfterRun, Event, FileArrived, TableChanged

counts = Table("counts")

@step
def read(event: Event) -> pl.DataFrame:
    with open(event.path) as file:
        return pl.DataFrame({"line": file.read().splitlines(), "path": event.path})

@step
def note(event: Event) -> str:
    return event.run or str(event.tables["counts"])

@pipeline(triggers=[FileArrived("inbox/*.txt")])
def load(event: Event):
    counts.append(read(event))

@pipeline(triggers=[AfterRun("load"), TableChanged("counts")])
def follow(event: Event):
    note(event)
"""
DAILY = '\n\n@pipeline(triggers=[Interval("1d", name="daily")])\ndef other(event: Event):\n    note(event)\n'


def test_each_second_has_one_run_though_a_server_is_killed_and_the_code_changes(tmp_path: Path) -> None:
    place = ServedProject(tmp_path / "city", CODE)
    project = place.project
    killed = place.start()
    with place.server():
        until(lambda: len(ticks_of(project, "beat")) >= 3)
        os.kill(killed.process.pid, signal.SIGKILL)
        killed.process.wait()
        killed.client.close()
        killed.process.stdout.close()  # type: ignore[union-attr]
        number = len(ticks_of(project, "beat"))
        (place.root / "pipelines.py").write_text(CODE + DAILY)
        until(lambda: len(ticks_of(project, "beat")) >= number + 3)
        until(lambda: project.journal.last("trigger/daily"))
    ticks = [datetime.fromisoformat(tick) for tick in ticks_of(project, "beat")]
    assert ticks == [ticks[0] + timedelta(seconds=n) for n in range(len(ticks))]
    assert datetime.now(UTC) - ticks[-1] < timedelta(seconds=30)
    # runs outlive their servers: those that were driven go on, whoever has begun them
    until(lambda: all(row.state in (RunStatus.SUCCEEDED, RunStatus.QUEUED) for row in rows_of(project, "beat")))
    assert RunStatus.SUCCEEDED in {row.state for row in rows_of(project, "beat")}


def test_a_file_starts_a_run_and_its_end_and_its_table_start_others(tmp_path: Path) -> None:
    place = ServedProject(tmp_path / "city", FLOW)
    inbox, project = place.root / "inbox", place.project
    inbox.mkdir()
    (inbox / "before.txt").write_text("was there before\n")
    with place.server():
        until(lambda: project.journal.last("source/load-file-arrived"))
        (inbox / "a.txt").write_text("one\ntwo\n")
        until(lambda: len(ended(place, "follow")) == 2)
    (loaded,) = ended(place, "load")
    assert loaded.origin["trigger"] == "load-file-arrived"
    assert loaded.parameters["event"]["path"] == "inbox/a.txt"  # type: ignore[index,call-overload]
    assert {row.origin["trigger"] for row in ended(place, "follow")} == {
        "follow-after-run",
        "follow-table-changed",
    }


def ended(place: ServedProject, pipeline: str) -> list[RunRow]:
    """The runs of a pipeline that have succeeded."""
    return place.project.journal.runs(pipeline=pipeline, state=RunStatus.SUCCEEDED)
