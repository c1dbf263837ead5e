"""Runs that are stopped from outside: time-outs, Ctrl-C, cancel, and processes that are killed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.execution.command import Folder, lives, states_of, steps_of, until


@pytest.fixture
def long(folder: Folder) -> Iterator[subprocess.Popen[str]]:
    """A run whose second step hangs, with a child process that does too."""
    process = folder.start("run", "long")
    until(lambda: folder.lines("pids"))
    yield process
    if process.poll() is None:
        process.kill()
        process.communicate()


def pids(folder: Folder) -> list[int]:
    return [int(pid) for line in folder.lines("pids") for pid in line.split()]


def host_of(worker: int) -> int:
    return int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])


def all_gone(folder: Folder) -> None:
    until(lambda: not any(lives(pid) for pid in pids(folder)))


@pytest.mark.parametrize("deaf", ["false", "true"])
def test_a_time_out_ends_the_step_and_everything_that_it_started(folder: Folder, deaf: str) -> None:
    run = folder.failed("run", "hangs", "-p", f"deaf={deaf}")
    step = steps_of(run)["hang"]
    assert step["error"]["kind"] == "timeout"
    assert "time-out of 300 ms" in step["error"]["message"]
    all_gone(folder)


def test_a_time_out_holds_in_a_fresh_interpreter_too(folder: Folder) -> None:
    folder.write(trikk='isolation = "fresh"\n')
    run = folder.failed("run", "hangs")
    assert run["isolation"] == "fresh interpreter: trikk.toml says so"
    assert steps_of(run)["hang"]["error"]["kind"] == "timeout"
    assert "time-out of 300 ms" in steps_of(run)["hang"]["error"]["message"]
    all_gone(folder)
    before = len(folder.lines("pids"))  # none, if the interpreter took longer to start than the step may take
    process = folder.start("run", "long")
    until(lambda: len(folder.lines("pids")) == before + 1)
    process.kill()
    process.communicate()
    all_gone(folder)


def test_a_step_that_takes_too_long_is_tried_again(folder: Folder) -> None:
    run = folder.failed("run", "hangs_twice")
    step = steps_of(run)["hang"]
    assert (step["attempts"], step["error"]["kind"]) == (2, "timeout")
    assert len(folder.lines("pids")) == 2
    all_gone(folder)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_the_run_which_can_be_resumed(
    folder: Folder, long: subprocess.Popen[str], ending: int
) -> None:
    os.killpg(long.pid, ending)
    done = folder.end(long)
    assert done.code == 1
    by = "Ctrl-C" if ending == signal.SIGINT else "a signal to end"
    assert done.err.count(f"cancelled by {by}") == 1
    assert "next: trikk resume" in done.err
    run = folder.good("show", "last")
    assert run["state"] == "cancelled"
    assert states_of(run) == {"before": "succeeded", "hang": "cancelled", "later": "waiting"}
    all_gone(folder)


def test_a_second_ctrl_c_ends_a_step_that_does_not_listen(folder: Folder) -> None:
    process = folder.start("run", "long", "-p", "deaf=true", "--json")
    until(lambda: folder.lines("pids"))
    os.killpg(process.pid, signal.SIGINT)
    until(lambda: folder.good("show", "last")["state"])  # some time passes
    os.killpg(process.pid, signal.SIGINT)
    done = folder.end(process)
    assert (done.code, done.json["state"]) == (1, "cancelled")
    all_gone(folder)


def test_ctrl_c_in_an_inline_run_is_recorded_too(folder: Folder) -> None:
    process = folder.start("run", "long", "--inline", "--json")
    until(lambda: folder.lines("pids"))
    os.killpg(process.pid, signal.SIGINT)
    done = folder.end(process)
    assert (done.code, done.json["state"]) == (1, "cancelled")
    assert states_of(done.json) == {"before": "succeeded", "hang": "cancelled", "later": "waiting"}


def test_another_process_can_cancel_a_run(folder: Folder, long: subprocess.Popen[str]) -> None:
    assert folder.good("cancel", "last")["state"] == "cancelled"
    assert folder.end(long).code == 1
    all_gone(folder)
    assert folder.refused("cancel", "last", code=1)["code"] == "run"


def test_a_cancel_is_seen_between_many_short_steps(folder: Folder) -> None:
    process = folder.start("run", "crowd", "-p", "n=20000", "--max-parallel", "1", "--json")
    until(lambda: folder.good("runs")["runs"])
    assert folder.good("cancel", "last")["state"] == "cancelled"
    assert folder.end(process).json["state"] == "cancelled"


def test_a_run_has_one_driver(folder: Folder, long: subprocess.Popen[str]) -> None:
    error = folder.refused("resume", "last", code=1)
    assert error["code"] == "lease-held"
    assert str(long.pid) in error["what"]
    assert folder.good("show", "last")["state"] == "running"
    assert lives(pids(folder)[0])


def test_a_driver_that_is_killed_takes_its_workers_along_and_loses_nothing(
    folder: Folder, long: subprocess.Popen[str]
) -> None:
    long.kill()
    long.communicate()
    all_gone(folder)
    assert folder.good("show", "last")["state"] == "running"
    assert folder.trikk("doctor").out.count("its driver is gone") == 1
    error = folder.trikk("logs", "last", "-f")
    assert error.code == 1
    assert "its driver is gone" in error.err
    again = folder.start("resume", "last", "--json")
    until(lambda: len(folder.lines("pids")) == 2)
    os.killpg(again.pid, signal.SIGINT)
    run = folder.end(again).json
    assert steps_of(run)["before"] | {"reused": True, "attempts": 1} == steps_of(run)["before"]
    assert steps_of(run)["hang"]["attempts"] == 2


def test_a_run_whose_driver_is_dead_can_be_cancelled(folder: Folder, long: subprocess.Popen[str]) -> None:
    long.kill()
    long.communicate()
    run = folder.good("cancel", "last")
    assert run["state"] == "cancelled"
    assert "its driver was gone" in run["error"]


def test_a_host_that_is_killed_fails_the_run_and_leaves_no_worker(
    folder: Folder, long: subprocess.Popen[str]
) -> None:
    worker = pids(folder)[0]
    os.kill(host_of(worker), signal.SIGKILL)
    done = folder.end(long)
    assert done.code == 1
    run = folder.good("show", "last")
    assert run["state"] == "failed"
    assert steps_of(run)["hang"]["error"]["kind"] == "lost"
    assert "(signal 9)" in done.err
    all_gone(folder)


def test_a_worker_that_is_killed_is_one_failed_attempt(folder: Folder, long: subprocess.Popen[str]) -> None:
    os.kill(pids(folder)[0], signal.SIGKILL)
    done = folder.end(long)
    assert done.code == 1
    assert "killed from outside (SIGKILL)" in done.err
    all_gone(folder)


def test_a_state_folder_that_vanishes_ends_the_run_with_one_message(
    folder: Folder, long: subprocess.Popen[str]
) -> None:
    (folder.root / ".trikk").rename(folder.root / "gone")
    os.kill(pids(folder)[0], signal.SIGTERM)
    done = folder.end(long)
    assert done.code == 1
    assert done.err
    all_gone(folder)
