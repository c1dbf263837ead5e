from __future__ import annotations

import contextlib
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trikk.core.errors import LeaseLost
from trikk.runs.journals.journal import Journal
from trikk.runs.journals.lease import Holder

SCRIPT = Path(__file__).with_name("journal_process.py")
Process = subprocess.Popen[str]


@pytest.fixture
def start(shared_location: str) -> Iterator[Callable[..., Process]]:
    """Starts processes on the journal, and ends what is left of them after the test."""
    with contextlib.ExitStack() as stack:

        def starter(*arguments: str) -> Process:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-W", "error", str(SCRIPT), shared_location, *arguments],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", process.stderr and process.stderr.read()
            return process

        yield starter


def tell(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def said(process: Process) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def finish(process: Process) -> list[str]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert err == ""
    return out.split("\n")[:-1]


def test_of_many_processes_that_acquire_a_run_exactly_one_gets_it(
    shared_location: str, opened: Callable[[str], Journal], start: Callable[..., Process]
) -> None:
    journal = opened(shared_location)
    journal.create("abc", "p", {}, at=0)
    processes = [start("acquire", "abc") for _ in range(5)]
    for process in processes:
        tell(process)
    answers = [said(process) for process in processes]
    assert Counter(answers) == {"held": 4, "taken 1": 1}
    lease = journal.lease("abc")
    assert lease is not None
    winner = processes[answers.index("taken 1")]
    assert lease.holder.pid == winner.pid


def test_a_run_whose_driver_was_killed_is_taken_at_once_and_the_dead_one_is_fenced(
    shared_location: str, opened: Callable[[str], Journal], start: Callable[..., Process]
) -> None:
    journal = opened(shared_location)
    journal.create("abc", "p", {}, at=0)
    driver = start("acquire", "abc")
    tell(driver)
    assert said(driver) == "taken 1"
    old = journal.lease("abc")
    assert old is not None
    driver.kill()
    driver.wait()
    new = journal.acquire("abc", Holder.current(), ttl=60, now=0.0)
    assert new.epoch == 2
    with pytest.raises(LeaseLost):
        journal.append("abc", "note", {}, at=0, lease=old)


def test_of_many_processes_that_create_a_run_exactly_one_does(
    shared_location: str, opened: Callable[[str], Journal], start: Callable[..., Process]
) -> None:
    processes = [start("create", "abc") for _ in range(4)]
    for process in processes:
        tell(process)
    answers = [finish(process)[0].split()[0] for process in processes]
    assert Counter(answers) == {"exists": 3, "made": 1}
    assert len(opened(shared_location).events("abc")) == 1


def test_many_processes_open_a_new_journal_at_once(
    shared_location: str, opened: Callable[[str], Journal], start: Callable[..., Process]
) -> None:
    processes = [start("open") for _ in range(6)]
    for process in processes:
        tell(process)
    assert [finish(process) for process in processes] == [["opened 0"]] * 6
    assert opened(shared_location).check() == []


def test_many_processes_append_and_nothing_is_lost_or_out_of_order(
    shared_location: str, opened: Callable[[str], Journal], start: Callable[..., Process]
) -> None:
    journal = opened(shared_location)
    for run in ("one", "two"):
        journal.create(run, "p", {}, at=0)
    processes = {(run, who): start("append", run, who, "100") for run in ("one", "two") for who in ("x", "y")}
    for process in processes.values():
        tell(process)
    acknowledged = {key: [int(seq) for seq in finish(process)] for key, process in processes.items()}
    for run in ("one", "two"):
        events = journal.events(run)[1:]
        assert [event.seq for event in events] == sorted(event.seq for event in events)
        for who in ("x", "y"):
            mine = [event for event in events if event.body["who"] == who]
            assert [event.body["number"] for event in mine] == list(range(100))
            assert [event.seq for event in mine] == acknowledged[run, who]
    assert journal.check() == []


@pytest.mark.parametrize("after", [1, 20, 150])
def test_a_killed_process_leaves_exactly_the_events_that_were_acknowledged(
    shared_location: str, opened: Callable[[str], Journal], start: Callable[..., Process], after: int
) -> None:
    journal = opened(shared_location)
    journal.create("abc", "p", {}, at=0)
    process = start("append", "abc", "x", "1000000")
    tell(process)
    acknowledged = [int(said(process)) for _ in range(after)]
    process.kill()
    assert process.stdout is not None
    acknowledged += [int(line) for line in process.stdout.read().split("\n")[:-1]]
    events = journal.events("abc")[1:]
    assert [event.seq for event in events][: len(acknowledged)] == acknowledged
    # One more may have been committed whose acknowledgement the kill cut off.
    assert len(events) - len(acknowledged) in (0, 1)
    assert [event.body["number"] for event in events] == list(range(len(events)))
    assert journal.check() == []
    assert journal.append("abc", "note", {}, at=0).seq > events[-1].seq


def test_parent_and_child_both_use_a_journal_opened_before_the_fork(
    shared_location: str, opened: Callable[[str], Journal], start: Callable[..., Process]
) -> None:
    journal = opened(shared_location)
    journal.create("abc", "p", {}, at=0)
    process = start("fork", "abc", "60")
    tell(process)
    assert finish(process) == ["123"]
    assert Counter(event.body.get("who") for event in journal.events("abc")[1:]) == {
        "before": 1,
        "parent": 60,
        "child": 60,
        "after": 1,
    }
    assert journal.check() == []


def test_connections_of_threads_that_ended_are_closed(
    shared_location: str, opened: Callable[[str], Journal], start: Callable[..., Process]
) -> None:
    journal = opened(shared_location)
    journal.create("abc", "p", {}, at=0)
    process = start("threads", "abc", "5")
    tell(process)
    assert finish(process) == ["21"]
