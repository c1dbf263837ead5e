"""Servers that run on Java: their jars from Maven, one server for all the processes of a test run.

Maven puts the jars into a folder in the user's cache once. The first test process that needs the server starts it,
under a lock, and it ends with the process that has started the tests.
"""

from __future__ import annotations

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
from collections.abc import Callable, Iterator
from pathlib import Path

_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>trikk</groupId><artifactId>for-tests</artifactId><version>1</version>
<dependencies><dependency>
<groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version>
</dependency></dependencies></project>
"""
_FETCH_SECONDS = 240
JAVA = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
_kept: list[subprocess.Popen[bytes]] = []  # not ended with a fixture: other test processes may still need it


def fetch_jars(group: str, artifact: str, version: str) -> Path:
    """The folder with an artifact and what it needs, fetched if it is not there; RuntimeError if it can't be."""
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise RuntimeError(f"there is no {program}")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trikk-tests"
    jars = cache / f"{artifact}-{version}"
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / f"{artifact}.lock"):
        if not jars.exists():
            half = cache / f"{artifact}-{version}.part"
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir()
            (half / "pom.xml").write_text(_POM.format(group, artifact, version))
            command = ["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={half / 'jars'}"]
            made = subprocess.run(
                command, cwd=half, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False
            )
            if made.returncode or not list((half / "jars").glob(f"{artifact}-*.jar")):
                raise RuntimeError(f"mvn could not fetch it: {(made.stdout + made.stderr).strip()[-200:]}")
            (half / "jars").rename(jars)
            shutil.rmtree(half, ignore_errors=True)
    return jars


def shared(base: Path, name: str, start: Callable[[Path, int], tuple[str, subprocess.Popen[bytes]]]) -> str:
    """Where the server of this test run is; started if it is not yet.

    Args:
        base: pytest's base folder for temporary files.
        name: of the server.
        start: gets a folder and the process with which the server ends; returns its address.

    Raises:
        RuntimeError: if it can't be had, with the reason; the same for every test process.
    """
    parallel = "PYTEST_XDIST_WORKER" in os.environ
    folder = (base.parent if parallel else base) / name
    folder.mkdir(exist_ok=True)
    note = folder / "server.json"
    with _locked(folder / "lock"):
        if not note.exists():
            try:
                address, process = start(folder, os.getppid() if parallel else os.getpid())
                _kept.append(process)
                note.write_text(json.dumps({"address": address}))
            except (OSError, subprocess.SubprocessError, RuntimeError) as error:
                note.write_text(json.dumps({"reason": str(error)[-300:]}))
        found = json.loads(note.read_text())
    if "reason" in found:
        raise RuntimeError(found["reason"])
    return str(found["address"])


def launch(command: list[str], log: Path, owner: int) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own; it ends when the process `owner` has ended."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, __file__, str(owner), *command],
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
        time.sleep(0.1)
    return False


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _keep(owner: int, command: list[str]) -> None:
    """Run the server until it ends or `owner` does."""
    server = subprocess.Popen(command, preexec_fn=_die_with_parent)
    while server.poll() is None:
        if not Path(f"/proc/{owner}").exists():
            server.kill()
        time.sleep(0.5)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


if __name__ == "__main__":
    _keep(int(sys.argv[1]), sys.argv[2:])
