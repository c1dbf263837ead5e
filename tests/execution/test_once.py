"""A cause has one run, whoever looks at it, how often, and whatever is killed."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from trikk import pipeline, step
from trikk.execution.once import Job, as_texts, attempts_of, run_once
from trikk.execution.project import Project
from trikk.execution.run_options import How
from trikk.execution.session import Session

ROOT = Path(__file__).parents[2]
CLAIMED, DONE = "start.claimed", "start.done"


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What processes left behind, by how they were disturbed."""
    folder = tmp_path_factory.mktemp("once")
    command = [sys.executable, "-m", "tests.execution.once_processes", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_whenever_its_process_is_killed_a_cause_has_one_run_which_is_noted_once(left: dict[str, Any]) -> None:
    causes = list(left["once"].values())
    assert len(causes) > 6
    assert [one["killed"] for one in causes] == [True] * (len(causes) - 1) + [False]
    for one in causes:
        assert len(one["runs"]) == 1
        assert one["done"] <= 1
        assert one["entries"].count(DONE) == 1
    assert {one["runs"][0] for one in causes} == {"queued", "running", "succeeded"}


def test_a_job_that_is_repeated_resumes_its_one_run_until_it_has_succeeded(left: dict[str, Any]) -> None:
    causes = list(left["again"].values())
    assert len(causes) == len(left["once"])
    for one in causes:
        assert one["runs"] == ["succeeded"]
        assert one["ended"][-1][0] == "succeeded"
        assert len({run for _, run in one["ended"]}) == 1
        assert one["done"] in (1, 2)  # twice only where the step itself was in the middle


def test_a_run_that_fails_is_tried_as_often_as_the_job_says(left: dict[str, Any]) -> None:
    found = left["failing"]
    assert (found["bad"]["runs"], found["bad"]["done"]) == (["failed"], 3)
    assert found["bad"]["entries"] == [CLAIMED, DONE] * 3
    assert (found["mended"]["runs"], found["mended"]["done"]) == (["succeeded"], 2)
    assert (found["only"]["runs"], found["only"]["done"]) == (["failed"], 1)


def test_of_several_at_once_one_runs_it(left: dict[str, Any]) -> None:
    for one in left["at once"].values():
        assert (one["runs"], one["entries"], one["done"]) == (["succeeded"], [CLAIMED, DONE], 1)


def test_an_attempt_on_another_host_is_waited_for_until_its_run_is_over(left: dict[str, Any]) -> None:
    found = left["elsewhere"]
    assert found["nothing"]["entries"] == found["before"] == [CLAIMED]
    assert found["over"]["entries"] == [CLAIMED, DONE]
    assert found["over"]["done"] == 0


def test_a_process_that_could_not_note_an_end_and_lives_on_notes_it_later(left: dict[str, Any]) -> None:
    assert left["full"]["entries"] == [CLAIMED, DONE]
    assert left["full"]["done"] == 1


_MENDED = """
from pathlib import Path
from trikk import pipeline, step

def write(what):
    with Path("done.txt").open("a") as file:
        file.write(what)

@step
def prepare() -> str:
    write("p")  # PREPARE
    return "rows"

@step(effect=True)
def tell(rows: str) -> str:
    write("t")  # TELL
    return rows

@step
def last(rows: str) -> None:
    raise ValueError("no")  # LAST

@pipeline
def work():
    last(tell(prepare()))
"""


def _attempt(root: Path) -> dict[str, Any] | None:
    """Look once, as a process of its own would."""
    project = Project.open(root)
    moment = datetime(2020, 4, 1, 6, tzinfo=UTC)
    job = Job("cause/1", "work", {"kind": "cause", "cause": "1"}, {}, moment, repeats=True)
    entries = project.journal.entries(job.subject)
    after = entries[-1].seq if entries else 0
    with Session(project, How()) as session:
        return run_once(project, session, job, attempts_of(entries), after=after, now=moment)


@pytest.mark.parametrize(("changed", "state", "done"), [("LAST", "succeeded", "pt"), ("PREPARE", "failed", "pt")])
def test_what_is_resumed_by_itself_runs_changed_steps_again_and_repeats_no_effect(
    tmp_path: Path, changed: str, state: str, done: str
) -> None:
    (tmp_path / "trikk.toml").write_text('name = "once"\npipelines = ["pipelines"]\n')
    code = tmp_path / "pipelines.py"
    code.write_text(_MENDED)
    first = _attempt(tmp_path)
    assert first is not None
    assert (first["state"], (tmp_path / "done.txt").read_text()) == ("failed", "pt")
    mended = _MENDED.replace('raise ValueError("no")', "return None")
    code.write_text(mended.replace(f"  # {changed}", f"; int({len(changed)})"))
    second = _attempt(tmp_path)
    assert second is not None
    assert (second["run"], second["state"]) == (first["run"], state)
    assert (tmp_path / "done.txt").read_text() == done
    assert ("would do it again" in str(second["why"])) == (state == "failed")


def test_a_day_and_a_time_are_filled_in_by_the_clock_of_the_place() -> None:
    @step
    def told(day: date, at: datetime, weeks: int, past: date | None) -> None: ...

    @pipeline
    def p(day: date, at: datetime, weeks: int = 4, past: date | None = None) -> None:
        told(day, at, weeks, past)

    moment = datetime(2020, 3, 31, 17, tzinfo=UTC)
    assert as_texts(p.graph, {"weeks": 2}, moment, "Pacific/Auckland") == {
        "day": "2020-04-01",
        "at": "2020-03-31T17:00:00+00:00",
        "weeks": "2",
    }
    assert as_texts(p.graph, {"day": "2020-01-01"}, moment, "UTC")["day"] == "2020-01-01"
