"""The process of one run: what it does when it is told to end, and when another is at it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.execution.command import WAIT, lives, until
from tests.server.queue_folder import QueueFolder, parent

from trikk.runs.events import EventKind


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueueFolder]:
    folder = QueueFolder(tmp_path_factory.mktemp("queued"))
    yield folder
    folder.project.close()


@pytest.fixture(autouse=True)
def _closed(folder: QueueFolder) -> None:
    for name in ("go", "notes"):
        (Path(folder.root) / name).unlink(missing_ok=True)


def worker(folder: QueueFolder) -> int:
    return int(until(lambda: [line for line in folder.lines("notes") if line.startswith("hold")])[0].split()[-1])


def test_a_driver_that_is_told_to_end_hands_its_run_over_and_another_goes_on_where_it_stopped(
    folder: QueueFolder,
) -> None:
    run = folder.ask_one("gated")
    process = folder.drive(run)
    pid = worker(folder)
    assert folder.driven(run) == (0, "")  # one that comes too late says nothing
    os.kill(process.pid, signal.SIGTERM)
    assert process.communicate(timeout=WAIT) == ("", None)
    assert not lives(pid)
    state = folder.project.run(run)
    assert (state.state, folder.project.journal.lease(run)) == ("running", None)
    assert folder.kinds(run)[-2:] == [EventKind.STEP_CANCELLED, EventKind.RUN_HANDED_OVER]
    folder.touch("go")
    assert folder.driven(run) == (0, "")
    state = folder.project.run(run)
    assert (state.state, state.resumed) == ("succeeded", 1)
    assert [line.split()[0] for line in folder.lines("notes")] == ["begin", "hold", "hold", "finish"]


def test_a_worker_that_gets_the_signal_of_a_shutdown_before_its_driver_has_not_failed(folder: QueueFolder) -> None:
    run = folder.ask_one("gated")
    process = folder.drive(run)
    os.kill(worker(folder), signal.SIGTERM)
    time.sleep(0.2)
    os.kill(process.pid, signal.SIGTERM)
    assert process.communicate(timeout=WAIT) == ("", None)
    assert folder.kinds(run)[-2:] == [EventKind.STEP_CANCELLED, EventKind.RUN_HANDED_OVER]
    folder.touch("go")
    assert folder.driven(run) == (0, "")
    assert folder.project.run(run).state == "succeeded"


def test_a_run_whose_host_is_killed_is_left_to_the_next_driver(folder: QueueFolder) -> None:
    run = folder.ask_one("gated")
    process = folder.drive(run)
    os.kill(parent(worker(folder)), signal.SIGKILL)
    out, _ = process.communicate(timeout=WAIT)
    assert (process.returncode, "the process that holds the project's code has ended (signal 9)" in out) == (
        1,
        True,
    )
    assert (folder.project.run(run).state, folder.project.journal.lease(run)) == ("running", None)
    folder.touch("go")
    assert folder.driven(run) == (0, "")
    assert [line.split()[0] for line in folder.lines("notes")] == ["begin", "hold", "hold", "finish"]


def test_steps_of_several_drivers_take_no_more_than_the_machine_has(folder: QueueFolder) -> None:
    runs = [folder.ask_one("whole", name=name) for name in "abc"]
    for process in [folder.drive(run) for run in runs]:
        assert process.communicate(timeout=WAIT) == ("", None)
    marks = [line.split()[0] for line in folder.lines("notes")]
    assert marks == ["in", "out"] * 3


def test_a_run_that_was_stopped_while_it_waited_is_cancelled_and_not_begun(folder: QueueFolder) -> None:
    run = folder.ask_one("gated")
    folder.project.journal.append(run, EventKind.RUN_CANCEL_REQUESTED, {"by": "kari"}, at=6.0)
    assert folder.driven(run) == (0, "")
    assert folder.project.journal.row(run).error == "cancelled by kari; it had no driver"
    assert folder.driven(run) == (0, "")  # nor by a process that comes when it is over
    assert EventKind.RUN_STARTED not in folder.kinds(run)


def test_a_run_whose_code_is_gone_stays_as_it_is_and_says_why(folder: QueueFolder) -> None:
    run = folder.ask_one("gated")
    process = folder.drive(run)
    worker(folder)
    process.kill()
    process.communicate()
    state = folder.project.run(run)
    code = folder.project.store.fetch(state.lock["code"])
    kept = code.read_bytes()
    folder.write(pipelines="x = 1\n")
    code.chmod(0o644)
    code.unlink()
    status, out = folder.driven(run)
    assert status == 1
    assert f"the code bundle {state.lock['code'][:12]} is missing" in out
    assert "Traceback" not in out
    assert folder.project.journal.row(run).state == "running"
    code.write_bytes(kept)
    folder.touch("go")
    assert folder.driven(run) == (0, "")
    assert folder.project.journal.row(run).state == "succeeded"
