"""A real server: what arrives as soon as it says that it serves, while it is killed, and after."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.execution.command import until
from tests.server.served import ServedProject

PIPELINES = """
from trikk import pipeline, step
from trikk.triggers import AfterRun, Event, FileArrived


@step
def read(event: Event) -> str:
    return event.path


@pipeline(triggers=[FileArrived("inbox/*.csv", name="arrived")])
def load(event: Event):
    read(event)


@step
def follow(event: Event) -> str:
    return event.run


@pipeline(triggers=[AfterRun("load", name="after")])
def report(event: Event):
    follow(event)
"""


def test_what_arrives_from_the_first_moment_on_has_one_run_through_kills(tmp_path: Path) -> None:
    served = ServedProject(tmp_path / "city", PIPELINES)
    inbox = served.root / "inbox"
    inbox.mkdir()
    (inbox / "before.csv").touch()

    def runs() -> dict[str, list[Any]]:
        rows = served.project.journal.runs(limit=None)
        return {
            name: [row for row in rows if row.pipeline == name and row.state == "succeeded"]
            for name in ("load", "report")
        }

    first = served.start()
    (inbox / "at once.csv").touch()  # within milliseconds of the line
    until(lambda: len(runs()["report"]) == 1)
    first.process.kill()
    first.process.wait()
    first.client.close()
    first.process.stdout.close()  # type: ignore[union-attr]
    (inbox / "while away.csv").touch()
    with served.server():
        until(lambda: len(runs()["report"]) == 2)
    paths = [row.parameters["event"]["path"] for row in runs()["load"]]
    assert sorted(paths) == ["inbox/at once.csv", "inbox/while away.csv"]
    loads = {row.id for row in runs()["load"]}
    assert {row.origin["tick"] for row in runs()["report"]} == loads
    assert json.dumps([row.origin for row in runs()["load"]]).count("arrived") == 2
