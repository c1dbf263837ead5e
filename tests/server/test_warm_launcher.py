"""Drivers and hosts that are forked: nothing is lost with the processes that fork them, and nothing is left."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.execution.command import lives, until
from tests.server.queue_folder import CODE, QueueFolder, forkers, parent
from tests.servers.s3 import S3Server

from trikk.execution.run_options import How
from trikk.execution.session import Session
from trikk.runs.states import OVER
from trikk.server.queue.nursery import Nursery
from trikk.server.queue.warm_launcher import WarmLauncher

pytestmark = pytest.mark.skipif(os.uname().sysname != "Linux", reason="forking is safe on Linux only")

STRAYS = """
import subprocess, sys

@step(resources=Resources(cpus=0))
def stray(name: str) -> int:
    note(f"hold {name} {os.getpid()}")
    note(f"stray {subprocess.Popen(['sleep', '600'], start_new_session=True).pid}")
    if (pid := os.fork()) == 0:
        os.setsid()
        time.sleep(600)
    note(f"stray {pid}")
    time.sleep(600)
    return 1

@pipeline
def strays(name: str = "a"):
    stray(name)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueueFolder]:
    folder = QueueFolder(tmp_path_factory.mktemp("queued"))
    folder.write(pipelines=CODE + STRAYS)
    yield folder
    folder.project.close()


@pytest.fixture
def launcher(folder: QueueFolder) -> Iterator[WarmLauncher]:
    for name in ("go", "notes"):
        (folder.root / name).unlink(missing_ok=True)
    launcher = WarmLauncher(folder.project)
    yield launcher
    nursery, template = forkers_here(folder)
    launcher.close()
    folder.touch("go")
    until(lambda: not any(lives(pid) for pid in (nursery, template) if pid))


def forkers_here(folder: QueueFolder) -> tuple[int, int]:
    """The nursery and the template of this process; 0 for one that is not there."""
    nursery, template, *_ = (*forkers(folder.root, os.getpid()), 0, 0)
    return nursery, template


def begin(folder: QueueFolder, launcher: WarmLauncher, pipeline: str, *names: str) -> list[str]:
    with Session(folder.project, How()) as session:
        runs = [folder.ask(session, pipeline, name=name) for name in names]
    for run in runs:
        launcher.start(run)
    return runs


def over(folder: QueueFolder, *runs: str) -> Callable[[], bool]:
    return lambda: all(folder.project.journal.row(run).state in OVER for run in runs)


def holders(folder: QueueFolder, *names: str) -> list[int]:
    """The workers that hold these runs."""

    def there() -> list[int]:
        lines = [line.split() for line in folder.lines("notes") if line.startswith("hold")]
        pids = {name: int(pid) for _, name, pid in lines}
        return [pids[name] for name in names] if {*names} <= {*pids} else []

    return until(there)  # type: ignore[no-any-return]


def stray_processes(folder: QueueFolder) -> list[int]:
    """What the step has started, when it has started both."""
    pids = [int(line.split()[1]) for line in folder.lines("notes") if line.startswith("stray")]
    return pids if len(pids) == 2 else []


def test_runs_go_on_when_all_that_has_forked_them_is_killed(folder: QueueFolder, launcher: WarmLauncher) -> None:
    first, second = begin(folder, launcher, "gated", "a", "b")
    workers = holders(folder, "a", "b")
    nursery, template = forkers_here(folder)
    drivers = [
        lease.holder.pid for run, lease in folder.project.journal.leases().items() if run in (first, second)
    ]
    assert [parent(parent(worker)) for worker in workers] == [template, template]
    assert [parent(driver) for driver in drivers] == [nursery, nursery]
    assert len({os.getsid(pid) for pid in (*drivers, *workers, nursery, template)}) == 6
    for pid in (nursery, template):
        os.kill(pid, signal.SIGKILL)
    (third,) = begin(folder, launcher, "gated", "c")  # by an interpreter of its own
    holders(folder, "c")
    assert launcher.is_there(first)
    assert launcher.is_there(third)
    folder.touch("go")
    until(over(folder, first, second, third))
    assert {row.state for row in folder.project.journal.runs()} == {"succeeded"}
    until(lambda: not any(map(launcher.is_there, (first, second, third))))
    for run in (first, second):
        assert folder.project.run(run).isolation == "fork"
        assert (folder.project.logs_of(run) / "driver.log").read_text() == ""


def test_what_a_killed_host_leaves_is_ended_and_the_other_hosts_of_its_template_are_not(
    folder: QueueFolder, launcher: WarmLauncher
) -> None:
    (lost,) = begin(folder, launcher, "strays", "s")
    (kept,) = begin(folder, launcher, "gated", "k")
    (worker, other) = holders(folder, "s", "k")
    strays = until(lambda: stray_processes(folder))
    os.kill(parent(worker), signal.SIGKILL)
    until(lambda: not launcher.is_there(lost))
    until(lambda: not any(lives(pid) for pid in (worker, *strays)))
    assert folder.project.journal.row(lost).state == "running"  # whoever looks after the queue goes on with it
    said = (folder.project.logs_of(lost) / "driver.log").read_text()
    assert "the process that holds the project's code has ended" in said
    assert lives(other)
    folder.touch("go")
    until(over(folder, kept))
    assert folder.project.journal.row(kept).state == "succeeded"


def test_a_nursery_and_a_template_that_hang_are_replaced_and_their_runs_begin(
    folder: QueueFolder, launcher: WarmLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.touch("go")
    until(lambda: launcher.has_code)
    nursery, template = forkers_here(folder)
    os.kill(template, signal.SIGSTOP)
    (run,) = begin(folder, launcher, "short", "t")
    until(over(folder, run))  # after ten seconds, by a host of its driver's own
    until(lambda: not lives(template))
    until(lambda: forkers_here(folder)[1])
    os.kill(nursery, signal.SIGSTOP)
    monkeypatch.setattr("trikk.server.queue.warm_launcher._ANSWERS", 0.5)
    (run,) = begin(folder, launcher, "short", "n")
    assert launcher.is_there(run)
    launcher._call_at = 0.0
    # What a dispatcher does: it looks, and starts again what is not there any more.
    until(lambda: launcher.look() >= 0 and not launcher.is_there(run))
    until(lambda: not lives(nursery))
    launcher.start(run)
    until(over(folder, run))


def test_a_new_template_takes_over_when_the_code_changes_and_the_last_one_serves_as_long_as_it_does_not_load(
    folder: QueueFolder, launcher: WarmLauncher
) -> None:
    def made(name: str) -> tuple[str, str]:
        (run,) = begin(folder, launcher, "short", name)
        until(over(folder, run))
        state = folder.project.run(run)
        assert state.state == "succeeded", state.error
        return state.lock["code"], folder.lines("notes")[-1]

    folder.touch("go")
    code, line = made("a")
    assert line == "begin a"
    first = forkers_here(folder)[1]
    folder.write(pipelines=CODE.replace('f"begin {name}"', 'f"began {name}"'))
    changed = until(lambda: (lock := made("b")) and lock[0] != code and lock)
    assert changed[1] == "began b"
    until(lambda: not lives(first))
    second = forkers_here(folder)[1]
    good = (folder.root / "pipelines.py").read_text()
    with Session(folder.project, How()) as session:
        runs = [folder.ask(session, "short", name=f"c{n}") for n in range(2)]
    folder.write(pipelines="import no_such_module\n")
    time.sleep(1.1)  # the files are looked at every second
    log = folder.root / ".trikk" / "server" / "nursery.log"
    launcher.start(runs[0])
    until(lambda: "no_such_module" in log.read_text())
    assert launcher.has_code
    launcher.start(runs[1])
    until(over(folder, *runs))
    assert [folder.project.run(run).lock.get("code") for run in runs] == [changed[0]] * 2
    assert forkers_here(folder)[1] == second
    folder.write(pipelines=good + STRAYS)


def test_a_project_that_can_not_be_forked_has_hosts_of_their_own_and_the_run_says_so(
    folder: QueueFolder,
) -> None:
    thread = (
        "\nimport threading\nthreading.Thread(target=time.sleep, args=(600,), daemon=True, name='mine').start()\n"
    )
    folder.write(pipelines=CODE + thread)
    launcher = WarmLauncher(folder.project)
    try:
        (run,) = begin(folder, launcher, "short", "a")
        until(over(folder, run))
        state = folder.project.run(run)
        assert (state.state, "'mine'" in str(state.isolation)) == ("succeeded", True)
        assert not launcher.has_code
    finally:
        nursery = forkers_here(folder)[0]
        launcher.close()
        folder.write(pipelines=CODE + STRAYS)
    until(lambda: not lives(nursery))


def test_drivers_are_not_forked_any_more_when_a_thread_runs_beside(
    folder: QueueFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    nursery = Nursery(theirs, folder.root)
    monkeypatch.setattr("trikk.server.queue.nursery.why_not_fork", lambda: "a thread runs")
    with ours, nursery._selector:
        nursery._selector.register(theirs, selectors.EVENT_READ, "control")
        nursery._waiting.append("abc")
        nursery._fork_drivers()
        assert ours.recv(100) == b""  # the server starts interpreters from then on
    assert (nursery._is_wanted, nursery._drivers, list(nursery._waiting)) == (False, {}, [])


def test_runs_that_wait_for_an_import_that_hangs_start_when_the_code_is_mended(folder: QueueFolder) -> None:
    folder.touch("go")
    folder.write(pipelines=CODE)
    with Session(folder.project, How()) as session:
        run = folder.ask(session, "short", name="mended")
    hangs = (
        f"from pathlib import Path\nPath({str(folder.root / 'hangs')!r}).touch()\nimport time\ntime.sleep(600)\n"
    )
    folder.write(pipelines=hangs)
    launcher = WarmLauncher(folder.project)
    nursery = 0
    try:
        launcher.start(run)
        until((folder.root / "hangs").exists)
        nursery, hanging = forkers_here(folder)
        folder.write(pipelines=CODE + STRAYS)
        until(over(folder, run))
        assert folder.project.run(run).state == "succeeded"
        assert not lives(hanging)
    finally:
        launcher.close()
    until(lambda: not lives(nursery))


def test_drivers_of_a_project_in_a_bucket_are_forked_without_its_clients_threads(
    tmp_path: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    folder = QueueFolder(tmp_path / "queued")
    folder.write(trikk=f'name = "queued"\n[storage]\nartifacts = "s3://{s3_server.new_bucket()}/a"\n')
    folder.reopen()
    launcher = WarmLauncher(folder.project)
    try:
        runs = begin(folder, launcher, "short", "a", "b")
        until(over(folder, *runs))
        assert {folder.project.journal.row(run).state for run in runs} == {"succeeded"}
        assert launcher.has_code
        nursery, _ = forkers_here(folder)
        threads = [(task / "comm").read_text() for task in Path(f"/proc/{nursery}/task").iterdir()]
        assert not [name for name in threads if name.startswith("tokio")]
    finally:
        launcher.close()
        folder.project.close()
