"""What a step starts ends with it, whatever session it is in; and a signal is no verdict on the code."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from tests.execution.command import WAIT, Folder, lives, until

CODE = """
import os, subprocess, sys, time
from pathlib import Path
from trikk import pipeline, step

BEAT = '''
import os, sys, time
os.setsid()
if os.fork():
    os._exit(0)
open("pids", "a").write(f"{os.getpid()}\\\\n")
while True:
    open("beats", "a").write("x")
    time.sleep(0.01)
'''

def leave(exec_: bool) -> None:
    if exec_:
        subprocess.Popen([sys.executable, "-c", BEAT])
    elif os.fork() == 0:
        exec(BEAT)
    while not Path("beats").exists():
        time.sleep(0.01)

@step
def starts(end: str, exec_: bool) -> int:
    leave(exec_)
    with open("workers", "a") as file:
        file.write(f"{os.getpid()} {os.getppid()}\\n")
    if end == "dies":
        os._exit(3)
    if end == "hangs":
        time.sleep(600)
    return 1

@step
def after(x: int) -> int:
    before = Path("beats").stat().st_size
    time.sleep(0.2)
    return Path("beats").stat().st_size - before

@pipeline
def leaves(end: str = "returns", exec_: bool = True):
    after(starts(end, exec_))
"""


@pytest.fixture
def leaving(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    folder.write(trikk='name = "l"\n', pipelines=CODE)
    return folder


def all_gone(folder: Folder) -> None:
    assert folder.lines("pids")
    until(lambda: not any(lives(int(pid)) for pid in folder.lines("pids")), 5)


@pytest.mark.parametrize("isolation", ["fork", "fresh"])
@pytest.mark.parametrize("exec_", ["true", "false"])
def test_nothing_writes_on_after_its_step(leaving: Folder, isolation: str, exec_: str) -> None:
    leaving.write(trikk=f'isolation = "{isolation}"\n')
    run = leaving.good("run", "leaves", "-p", f"exec_={exec_}")
    assert run["steps"][1]["outputs"][0]["summary"]["value"] == 0
    all_gone(leaving)


def test_what_a_step_that_dies_has_started_ends_too(leaving: Folder) -> None:
    leaving.failed("run", "leaves", "-p", "end=dies")
    assert not any(lives(int(pid)) for pid in leaving.lines("pids"))
    all_gone(leaving)


@pytest.mark.parametrize("victim", ["driver", "host", "worker"])
def test_whoever_is_killed_nothing_is_left(leaving: Folder, victim: str) -> None:
    process = leaving.start("run", "leaves", "-p", "end=hangs")
    worker, host = (int(pid) for pid in until(lambda: leaving.lines("workers"))[0].split())
    os.kill({"driver": process.pid, "host": host, "worker": worker}[victim], signal.SIGKILL)
    process.communicate(timeout=WAIT)
    until(lambda: not lives(host) and not lives(worker))
    all_gone(leaving)


SLOW = """
import os, time
from trikk import pipeline, step
open("hosts", "a").write(f"{os.getpid()}\\n")
while not os.path.exists("go"):
    time.sleep(0.01)

@step
def s() -> int:
    return 1

@pipeline
def p():
    s()
"""


def test_a_host_that_is_killed_while_it_imports_is_started_again(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write(trikk='name = "s"\n', pipelines=SLOW)
    process = folder.start("run", "p", "--json")
    os.kill(int(until(lambda: folder.lines("hosts"))[0]), signal.SIGKILL)
    folder.touch("go")
    assert folder.end(process).code == 0
    assert len(folder.lines("hosts")) == 2


def test_one_that_is_killed_each_time_says_so_and_is_no_alarm_that_the_code_does_not_load(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write(trikk='name = "s"\n', pipelines=SLOW)
    process = folder.start("watch", "--once", "--json")
    for number in range(3):
        os.kill(int(until(lambda n=number: folder.lines("hosts")[n:])[0]), signal.SIGKILL)
    done = folder.end(process)
    assert done.code == 1
    assert "was killed each time" in done.error["what"]
    folder.touch("go")
    assert folder.good("incidents")["incidents"] == []
