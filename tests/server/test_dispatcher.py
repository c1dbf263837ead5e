"""Servers that start runs: which of them, how often, and what is seen of it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from tests.execution.command import until
from tests.server.queue_folder import QueueFolder

from trikk.core.errors import RunError, UsageError
from trikk.execution.approvals.decisions import decide
from trikk.execution.project import Project
from trikk.execution.run_options import How
from trikk.execution.session import Session
from trikk.runs.events import EventKind
from trikk.runs.journals.lease import Holder
from trikk.runs.journals.server_beats import Server
from trikk.server.presence.served_code import ServedCode
from trikk.server.queue import run_process
from trikk.server.queue.dispatcher import Dispatcher
from trikk.server.queue.launcher import ColdLauncher
from trikk.server.queue.start_decision import ATTEMPTS, PAUSES
from trikk.server.queue.start_records import StartRecords
from trikk.testing import ManualClock


class FakeLauncher:
    """Starts nothing, or processes that are gone at once."""

    def __init__(self, *, stays: bool = True, words: str = "") -> None:
        self.started: list[str] = []
        self.stays, self.words = stays, words
        self.has_code = False

    def start(self, run: str) -> None:
        self.started.append(run)
        if self.words:
            raise RunError(self.words)

    def is_there(self, run: str) -> bool:
        return self.stays and run in self.started

    def look(self) -> int:
        return 0

    def close(self) -> None:
        pass


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueueFolder]:
    folder = QueueFolder(tmp_path_factory.mktemp("queued"))
    yield folder
    folder.project.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def dispatcher(folder: QueueFolder, launcher: FakeLauncher, clock: ManualClock) -> Dispatcher:
    return Dispatcher(folder.project, launcher, clock)


def ask(folder: QueueFolder, count: int, pipeline: str = "short", **more: str) -> list[str]:
    with Session(folder.project, How()) as session:
        return [folder.ask(session, pipeline, f"t{n}", float(n), **more) for n in range(count)]


def test_a_run_is_started_once_however_many_servers_look(folder: QueueFolder, clock: ManualClock) -> None:
    runs = ask(folder, 3)
    launchers = [FakeLauncher(), FakeLauncher()]
    first, second = (dispatcher(folder, launcher, clock) for launcher in launchers)
    for _ in range(3):
        first.turn(clock.now())
        clock.advance(1.0)
    # Of another process that lives, and of one that does not: that one's start is not waited for.
    for pid, started in ((os.getppid(), []), (1 << 22, runs)):
        records = StartRecords(folder.project.journal)
        starts = {run: replace(s, by=replace(s.by, pid=pid, started=0.0)) for run, s in records.starts.items()}
        assert records.add(starts, runs, clock.now())
        second.turn(clock.now())
        assert [launcher.started for launcher in launchers] == [runs, started]


def test_of_two_servers_that_decide_at_the_same_time_one_looks_again(
    folder: QueueFolder, clock: ManualClock
) -> None:
    ask(folder, 1)
    one, two = FakeLauncher(), FakeLauncher()
    late = dispatcher(folder, two, clock)
    add = StartRecords.add

    def slow(records: StartRecords, *arguments: object) -> bool:
        StartRecords.add = add  # type: ignore[method-assign]
        dispatcher(folder, one, clock).turn(clock.now())
        return add(records, *arguments)  # type: ignore[arg-type]

    StartRecords.add = slow  # type: ignore[method-assign]
    try:
        assert late.turn(clock.now()) == 0.0
    finally:
        StartRecords.add = add  # type: ignore[method-assign]
    assert (len(one.started), two.started) == (1, [])


def test_a_run_that_waits_for_people_starts_when_they_have_decided_or_it_has_expired(
    folder: QueueFolder, clock: ManualClock
) -> None:
    journal, now, launcher = folder.project.journal, clock.now(), FakeLauncher()
    for run, expires in (("decided", None), ("expired", now + 60), ("open", now + 3600)):
        journal.create(run, "short", {"parameters": {"name": run}, "origin": {"kind": "manual"}}, at=now)
        question = {"step": "ask", "question": "go on?", "expires": expires, "on_expiry": "refuse"}
        for kind, body in (("run.started", {}), ("approval.asked", question), ("run.waiting", {})):
            journal.append(run, kind, body, at=now)
    server = dispatcher(folder, launcher, clock)
    server.turn(clock.now())
    assert launcher.started == []
    decide(journal, "decided", approved=True, by="anna", why="good", now=clock.now())
    server.turn(clock.now())
    assert launcher.started == ["decided"]
    clock.advance(60)
    server.turn(clock.now())
    assert launcher.started == ["decided", "expired"]
    assert journal.row("open").state == "waiting"


def test_a_pool_has_one_limit_for_all_and_whoever_asks_is_told_why_a_run_waits(
    folder: QueueFolder, clock: ManualClock
) -> None:
    code = (folder.root / "pipelines.py").read_text()
    pooled = code.replace("@pipeline\ndef short", '@pipeline(pools=["warehouse"])\ndef short')
    folder.write(trikk='name = "queued"\n[pools]\nwarehouse = 2\n', pipelines=pooled)
    folder.reopen()
    runs = ask(folder, 4)
    launcher = FakeLauncher()
    server = dispatcher(folder, launcher, clock)
    with Session(folder.project, How()) as session:
        server.learn(session.executor.graphs(), [], clock.now())
    server.turn(clock.now())
    assert launcher.started == runs[:2]
    reason = "pool warehouse is full: 2 of 2 places taken"
    assert server.waits == dict.fromkeys(runs[2:], reason)
    assert "no server is there to start it" in folder.good("show", runs[3])["waits"]
    folder.project.journal.beat(Server(id="s", holder=Holder.current(), at=folder.now()))
    shown = folder.good("show", runs[3])
    assert shown["waits"] == reason
    listed = folder.trikk("runs").out
    assert [line for line in listed.splitlines() if line.endswith(reason)] == [f"{runs[2]}, {runs[3]}: {reason}"]


def test_a_pool_that_trikk_toml_does_not_have_is_refused(folder: QueueFolder) -> None:
    code = (folder.root / "pipelines.py").read_text()
    folder.write(pipelines=code.replace("@pipeline\ndef short", '@pipeline(pools=["warehouse"])\ndef short'))
    error = folder.refused("run", "short")
    assert "pool warehouse" in error["what"]
    assert "[pools]" in error["next"]


def test_a_run_that_no_process_can_drive_is_given_up_after_pauses_and_says_why(
    folder: QueueFolder, clock: ManualClock
) -> None:
    (run,) = ask(folder, 1)
    launcher = FakeLauncher(stays=False, words="no process could be started: no room")
    server, begin = dispatcher(folder, launcher, clock), clock.now()
    while folder.project.journal.row(run).state == "queued":
        clock.advance(max(0.25, server.turn(clock.now())))
    assert len(launcher.started) == ATTEMPTS
    assert sum(PAUSES.pause(n) for n in range(1, ATTEMPTS)) <= clock.now() - begin < 1200
    error = folder.project.journal.row(run).error
    assert error == f"no process could drive it: {ATTEMPTS} attempts in a row ended, and said: {launcher.words}"
    assert folder.project.journal.check() == []
    # Somebody who wants it all the same is not told of what was before.
    folder.project.journal.append(run, EventKind.RUN_RESUME_REQUESTED, {"by": "kari"}, at=clock.now())
    server.turn(clock.now())
    assert len(launcher.started) == ATTEMPTS + 1


def test_runs_of_another_environment_are_left_to_its_servers(folder: QueueFolder, clock: ManualClock) -> None:
    (run,) = ask(folder, 1)
    folder.write(trikk='name = "queued"\nenvironment = "staging"\n')
    folder.reopen()
    launcher = FakeLauncher()
    server = dispatcher(folder, launcher, clock)
    for _ in range(3):
        server.turn(clock.now())
    assert launcher.started == []
    assert server.waits == {run: "it is of environment main, and this server is of staging"}


def test_a_server_of_a_release_that_does_not_count_begins_no_run_and_goes_on_with_those_that_were_begun(
    folder: QueueFolder, clock: ManualClock
) -> None:
    lost, waiting = ask(folder, 2)
    folder.project.journal.append(lost, EventKind.RUN_STARTED, {}, at=6.0)
    launcher = FakeLauncher()
    server = Dispatcher(folder.project, launcher, clock, is_outdone=lambda: True)
    server.turn(clock.now())
    assert launcher.started == [lost]
    assert server.waits == {waiting: "a server of the release that counts starts it"}


def test_runs_wait_for_code_that_loads_unless_there_is_some_from_before(
    folder: QueueFolder, clock: ManualClock
) -> None:
    begun, waiting = ask(folder, 2)
    good = (folder.root / "pipelines.py").read_text()
    folder.write(pipelines="import no_such_module\n")
    journal = folder.project.journal
    # A driver that is faster than the server's look at the code fails nothing either.
    assert run_process.drive(folder.project, waiting) == 1
    assert journal.row(waiting).state == "queued"
    journal.append(begun, EventKind.RUN_STARTED, {}, at=6.0)
    launcher, code = FakeLauncher(), ServedCode(folder.project.settings, clock)
    server = Dispatcher(folder.project, launcher, clock, trouble=lambda: code.trouble)
    code.read()
    server.turn(clock.now())
    assert launcher.started == [begun], "its code is its own"
    assert server.waits[waiting].startswith("the project's code does not load: ")
    assert "no_such_module" in server.waits[waiting]
    assert code.trouble is not None
    says = {"code": code.trouble.to_json()}
    journal.beat(Server(id="s", holder=Holder.current(), at=folder.now(), says=says))
    assert folder.good("show", waiting)["waits"] == server.waits[waiting]
    launcher.has_code = True
    server.turn(clock.now())
    assert launcher.started == [begun, waiting]
    folder.write(pipelines=good)
    assert run_process.drive(folder.project, waiting) == 0
    assert journal.row(waiting).state == "succeeded"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("[server]\nslots = 0", "server.slots = 0"),
        ("[server]\nslots = true", "server.slots = True"),
        ('[server]\nmemory = "many"', "many"),
        ("[server]\nslot = 3", "server.slot"),
        ('[pools]\nwarehouse = "2"', "pools.warehouse = '2'"),
        ("[pools]\n'a b' = 2", "can't name a pool"),
        ("pools = 3", "pools must be a section"),
    ],
)
def test_limits_that_make_no_sense_are_refused(folder: QueueFolder, settings: str, says: str) -> None:
    folder.write(trikk=f"{settings}\n")
    with pytest.raises(UsageError) as error:
        Project.open(folder.root)
    assert says in error.value.what


def test_a_draining_server_starts_nothing(folder: QueueFolder, clock: ManualClock) -> None:
    ask(folder, 1)
    launcher = FakeLauncher()
    Dispatcher(folder.project, launcher, clock, is_draining=lambda: True).turn(clock.now())
    assert launcher.started == []


def test_runs_are_driven_in_turn_and_one_whose_driver_is_killed_goes_on(folder: QueueFolder) -> None:
    folder.write(trikk='name = "queued"\n[server]\nslots = 2\n')
    folder.reopen()
    runs = ask(folder, 3, "gated")
    server, launcher = None, ColdLauncher(folder.project)
    server = Dispatcher(folder.project, launcher)
    now = folder.now

    def begun() -> int:
        assert server is not None
        server.turn(now())
        return sum(line.startswith("hold") for line in folder.lines("notes")) == 2

    until(begun)
    assert server.waits == {runs[2]: "all slots of this machine are taken: 2"}
    lease = folder.project.journal.lease(runs[0])
    assert lease is not None
    os.kill(lease.holder.pid, 9)
    server.close()
    # Another server finds what goes on, and what does not.
    server = Dispatcher(folder.project, ColdLauncher(folder.project))
    folder.touch("go")
    until(lambda: server.turn(now()) and all(row.state == "succeeded" for row in folder.project.journal.runs()))
    server.close()
    assert [folder.kinds(run).count(EventKind.RUN_RESUMED) for run in runs] == [1, 0, 0]
    assert [folder.kinds(run).count(EventKind.RUN_STARTED) for run in runs] == [1, 1, 1]
