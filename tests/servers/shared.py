"""One server of a kind for all the processes of a test run.

The first test process that needs it starts it, under a lock, and writes down where it is; the others read that.
A keeper ends it when the process that started the tests has ended, however that ended.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

_SECONDS_TO_END = 10
_kept: list[subprocess.Popen[bytes]] = []  # not ended with a fixture: other test processes may still need it


def shared(base: Path, name: str, start: Callable[[Path, int], tuple[Any, subprocess.Popen[bytes]]]) -> Any:
    """What `start` said of the server of this test run, as JSON has it; it is started if it is not yet.

    Args:
        base: pytest's base folder for temporary files.
        name: of the server.
        start: gets a folder and the process with which the server ends; returns what tests need to know of it.

    Raises:
        RuntimeError: if it can't be had, with the reason; the same for every test process.
    """
    parallel = "PYTEST_XDIST_WORKER" in os.environ
    folder = (base.parent if parallel else base) / name
    folder.mkdir(exist_ok=True)
    note = folder / "server.json"
    with locked(folder / "lock"):
        if not note.exists():
            try:
                about, process = start(folder, os.getppid() if parallel else os.getpid())
                _kept.append(process)
                note.write_text(json.dumps({"about": about}))
            except (OSError, subprocess.SubprocessError, LookupError, RuntimeError) as error:
                note.write_text(json.dumps({"reason": str(error)[-300:]}))
        server = json.loads(note.read_text())
    if "reason" in server:
        raise RuntimeError(server["reason"])
    return server["about"]


def launch(
    command: list[str],
    log: Path,
    owner: int,
    *,
    user: int = 0,
    remove: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own; it ends when the process `owner` has ended.

    Args:
        command: the server's.
        log: the file that its output goes to.
        owner: the process with which it ends.
        user: the user and group as which it runs, where this process is root; else as this one.
        remove: a folder that goes when it has ended.
        environment: its variables; this process's if not given.
    """
    keeper = [
        sys.executable,
        "-P",
        __file__,
        str(owner),
        f"--user={user}",
        f"--remove={remove or ''}",
        "--",
        *command,
    ]
    with log.open("ab") as output:
        return subprocess.Popen(
            keeper,
            cwd=log.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server and its keeper at once, as a crash would."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def answers(process: subprocess.Popen[bytes], port: int, seconds: float) -> bool:
    """Whether something listens on a port within a time; False as soon as the process has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        time.sleep(0.05)
    return False


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file for the block, against other processes."""
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _keep(owner: int, command: list[str], user: int, remove: str) -> None:
    """Run the server until it ends or `owner` does."""
    identity: dict[str, Any] = {"user": user, "group": user, "extra_groups": []} if user else {}
    server = subprocess.Popen(command, preexec_fn=_die_with_parent, **identity)
    while server.poll() is None:
        if not Path(f"/proc/{owner}").exists():
            server.send_signal(signal.SIGINT)  # a database that is killed may leave shared memory behind
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(_SECONDS_TO_END)
            server.kill()
        time.sleep(0.2)
    if remove:
        shutil.rmtree(remove, ignore_errors=True)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("owner", type=int)
    parser.add_argument("--user", type=int)
    parser.add_argument("--remove")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    _keep(given.owner, given.command, given.user, given.remove)
