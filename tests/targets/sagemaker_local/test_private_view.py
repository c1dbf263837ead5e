from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.targets.sagemaker_local.job_processes import kill_first_process_of, processes_with, wait_for

from trikk.core.errors import UsageError
from trikk.targets.sagemaker.local.containers.job_process import (
    EndReason,
    ProcessEnd,
    ProcessLimits,
    best_view,
    run_process,
)
from trikk.targets.sagemaker.local.containers.private_view import View, ViewEnd, ViewRequest

NOBODY = 65534


@pytest.fixture(scope="module")
def view() -> View:
    try:
        return best_view()
    except UsageError as error:
        pytest.skip(f"no private view of /opt/ml on this machine: {error.what}")


def run(
    folder: Path, script: str, view: View, limits: ProcessLimits | None = None, **events: threading.Event
) -> ProcessEnd:
    environment = {"PATH": os.environ["PATH"], "HERE": str(folder)}
    return run_process(
        ["sh", "-c", script], environment, folder, folder / "log", view, limits or ProcessLimits(), **events
    )


def test_two_jobs_at_once_each_see_their_own_opt_ml(tmp_path: Path, view: View) -> None:
    if view == View.TURNS:
        pytest.skip("jobs take turns on this machine")
    before = Path("/opt/ml").exists()
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    meet = "echo {0} > /opt/ml/who; touch {2}/{0}; while [ ! -e {2}/{1} ]; do sleep 0.01; done; cat /opt/ml/who"
    scripts = [meet.format(own, other, tmp_path / "met") for own, other in ("ab", "ba")]
    (tmp_path / "met").mkdir()
    ends: list[ProcessEnd] = []
    threads = [
        threading.Thread(target=lambda f=f, s=s: ends.append(run(f, s, view)))  # type: ignore[misc]
        for f, s in zip(folders, scripts, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ends == [ProcessEnd(EndReason.EXITED, 0)] * 2
    assert [(folder / "log").read_text() for folder in folders] == ["a\n", "b\n"]
    assert [(folder / "ml" / "who").read_text() for folder in folders] == ["a\n", "b\n"]
    assert Path("/opt/ml").exists() == before


def test_what_lies_beside_opt_ml_is_still_there(tmp_path: Path, view: View) -> None:
    beside = sorted({entry.name for entry in os.scandir("/opt")} - {"ml"})
    assert run(tmp_path, "ls /opt", view).code == 0
    assert sorted(set((tmp_path / "log").read_text().split()) - {"ml"}) == beside


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("no-such-program", 127)]
)
def test_the_exit_code_is_the_commands(tmp_path: Path, view: View, script: str, code: int) -> None:
    assert run(tmp_path, script, view) == ProcessEnd(EndReason.EXITED, code)


def test_a_program_that_is_not_there_ends_as_a_container_does(tmp_path: Path, view: View) -> None:
    end = run_process(["no-such-program"], {"PATH": "/bin"}, tmp_path, tmp_path / "log", view, ProcessLimits())
    assert (end.reason, end.code) == (EndReason.EXITED, 127)
    assert "no-such-program: No such file" in (tmp_path / "log").read_text()


def test_daemons_end_with_their_job(tmp_path: Path, view: View) -> None:
    mark = f"60{os.getpid()}.25"
    daemon = f"setsid sh -c 'echo > {tmp_path}/begun; exec sleep {mark}' < /dev/null > /dev/null 2>&1 &"
    wait = f"while [ ! -e {tmp_path}/begun ]; do sleep 0.01; done"
    assert run(tmp_path, f"{daemon} {wait}", view).code == 0
    assert processes_with(mark) == []


def test_a_job_that_is_stopped_is_told_first(tmp_path: Path, view: View) -> None:
    stopping = threading.Event()
    script = (
        f"trap 'echo saved > /opt/ml/model; exit 0' TERM; touch {tmp_path}/begun; while :; do sleep 0.02; done"
    )

    def stop() -> None:
        wait_for(tmp_path / "begun")
        stopping.set()

    thread = threading.Thread(target=stop)
    thread.start()
    assert run(tmp_path, script, view, stopping=stopping) == ProcessEnd(EndReason.STOPPED, 0)
    thread.join()
    assert (tmp_path / "ml" / "model").read_text() == "saved\n"


def test_one_that_does_not_listen_is_killed_after_its_grace(tmp_path: Path, view: View) -> None:
    limits = ProcessLimits(seconds=0.2, grace=0.2)
    mark = f"61{os.getpid()}.25"
    assert run(tmp_path, f"trap '' TERM; sleep {mark}", view, limits).reason == EndReason.TIMED_OUT
    assert processes_with(mark) == []


def test_a_job_that_fills_its_volume_is_ended(tmp_path: Path, view: View) -> None:
    mark = f"62{os.getpid()}.25"
    script = f"head -c 3000000 /dev/zero > /opt/ml/big; sync /opt/ml/big; sleep {mark}"
    assert run(tmp_path, script, view, ProcessLimits(size=1_000_000)).reason == EndReason.FULL
    assert processes_with(mark) == []


def test_nothing_is_left_of_a_job_whose_runner_is_killed(tmp_path: Path, view: View) -> None:
    mark = f"63{os.getpid()}.25"
    code = (
        "import os, sys; from pathlib import Path\n"
        "from trikk.targets.sagemaker.local.containers.job_process import *\n"
        f"folder = Path({str(tmp_path)!r}); environment = dict(os.environ)\n"
        f"script = 'touch {tmp_path}/begun; exec sleep {mark}'\n"
        "run_process(['sh', '-c', script], environment, folder, folder / 'log', best_view(), ProcessLimits())\n"
    )
    runner = subprocess.Popen([sys.executable, "-c", code])
    wait_for(tmp_path / "begun")
    runner.kill()
    runner.wait()
    deadline = time.monotonic() + 60
    while processes_with(mark):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_first_process_killed_from_outside_is_no_fault_of_the_job(tmp_path: Path, view: View) -> None:
    mark = f"64{os.getpid()}.25"

    def kill() -> None:
        wait_for(tmp_path / "begun")
        kill_first_process_of(mark)

    thread = threading.Thread(target=kill)
    thread.start()
    end = run(tmp_path, f"touch {tmp_path}/begun; exec sleep {mark}", view)
    thread.join()
    assert (end.reason, end.problem) == (EndReason.LOST, "the job's first process was killed from outside")
    assert processes_with(mark) == []


def test_mounts_alone_do_where_processes_can_not_be_set_apart(tmp_path: Path, view: View) -> None:
    if view == View.TURNS:
        pytest.skip("this machine has no mount namespaces")
    mark = f"65{os.getpid()}.25"
    daemon = f"setsid sh -c 'echo > {tmp_path}/begun; exec sleep {mark}' < /dev/null > /dev/null 2>&1 &"
    wait = f"while [ ! -e {tmp_path}/begun ]; do sleep 0.01; done"
    assert run(tmp_path, f"{daemon} {wait}; echo me > /opt/ml/who; exit 3", View.MOUNTS).code == 3
    assert (tmp_path / "ml" / "who").read_text() == "me\n"
    assert processes_with(mark) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give this test an /opt of its own")
def test_without_namespaces_jobs_take_turns_over_a_link(tmp_path: Path) -> None:
    code = (
        "import os, threading\n"
        "from pathlib import Path\n"
        "from trikk.targets.sagemaker.local.containers.job_process import *\n"
        "from trikk.targets.sagemaker.local.containers.private_view import View\n"
        "def job(name):\n"
        f"    folder = Path({str(tmp_path)!r}, name); folder.mkdir()\n"
        "    script = f'echo {name} > /opt/ml/who; sleep 0.1; cat /opt/ml/who'\n"
        "    command, environment = ['sh', '-c', script], {'PATH': os.environ['PATH']}\n"
        "    run_process(command, environment, folder, folder / 'log', View.TURNS, ProcessLimits())\n"
        "threads = [threading.Thread(target=job, args=(name,)) for name in 'abc']\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "assert not os.path.lexists('/opt/ml')\n"
    )
    isolated = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /opt && exec "$0" -c "$1"']
    done = subprocess.run([*isolated, sys.executable, code], capture_output=True, text=True)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no mount namespace: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / name / "log").read_text() for name in "abc"] == ["a\n", "b\n", "c\n"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_whoever_is_not_root_has_a_view_too_and_stays_who_he_is(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    place = tmp_path / "job"
    (place / "ml").mkdir(parents=True)
    (place / "scratch").mkdir()
    for path in (place, place / "ml", place / "scratch"):
        os.chown(path, NOBODY, NOBODY)
    request = ViewRequest(
        View.NAMESPACES,
        str(place / "ml"),
        str(place / "scratch"),
        str(place / "status.json"),
        ("sh", "-c", "id -u > /opt/ml/who; echo $$ > /opt/ml/pid"),
        {"PATH": os.environ["PATH"]},
    )
    # The interpreter may lie where only root can read, so it is another's only once it has read all it needs.
    code = (
        "import ctypes, os, sys\n"
        "from trikk.targets.sagemaker.local.containers.private_view import ViewRequest, run\n"
        "request = ViewRequest.from_bytes(sys.stdin.buffer.read())\n"
        f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY}); ctypes.CDLL(None).prctl(4, 1)\n"
        "run(request)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], input=request.to_bytes(), capture_output=True)
    end = ViewEnd.from_bytes((place / "status.json").read_bytes())
    if end.problem:
        pytest.skip(f"no user namespaces on this machine: {end.problem}")
    assert done.returncode == 0, done.stderr
    assert (place / "ml" / "who").read_text() == f"{NOBODY}\n"
