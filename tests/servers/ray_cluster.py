"""A real Ray cluster of two nodes on this machine, and nodes that come and go.

Ray is in an environment of its own (`tests/envs.py`). Its nodes listen on all addresses, so they are in a network
namespace that has nothing but the loopback; who wants to reach them enters it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.envs import python_of
from tests.servers.shared import free_ports, launch, shared, stop

from trikk.execution.workers.descendants import TOKEN, end_marked, new_token

_PROGRAM = Path(__file__).with_name("ray_nodes.py")
_SECONDS = 240
_ATTEMPTS = 2  # on a machine with much to do a start may fail
PASSPHRASE = "open, s3same!"
VARIABLES = {"RAY_USAGE_STATS_ENABLED": "0", "PASSPHRASE": PASSPHRASE}


@dataclass(frozen=True, slots=True)
class RayCluster:
    """Two nodes with one core each.

    Attributes:
        python: an interpreter with Ray and trikk.
        pid: a process in their network.
        port: the head's, for processes of the nodes' machine.
        client_port: for others, by ray://.
        folder: where it keeps what it has.
    """

    python: str
    pid: int
    port: int
    client_port: int
    folder: Path

    @property
    def inside(self) -> list[str]:
        """What a command begins with that runs in the nodes' network."""
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        return ["nsenter", f"--target={self.pid}", "--net", *user]

    @contextlib.contextmanager
    def node(self, address: str, **variables: str) -> Iterator[str]:
        """One more node, until the end of the block; gives the token by which `end_marked` kills all of it."""
        token = new_token()
        log = self.folder / f"{address}.log"
        program = (
            "import sys; sys.path.insert(0, sys.argv[1]); from ray_nodes import *; "
            "start_node(sys.argv[2], Path(sys.argv[3]), '--address=127.0.0.2:' + sys.argv[4]).wait()"
        )
        arguments = [str(_PROGRAM.parent), address, str(log), str(self.port)]
        process = subprocess.Popen(
            [*self.inside, self.python, "-c", program, *arguments],
            env={**os.environ, **VARIABLES, TOKEN: token, **variables},
            start_new_session=True,
        )
        try:
            end = time.monotonic() + _SECONDS
            while not log.exists() or b"Ray runtime started" not in log.read_bytes():
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError("the node has not started")
                time.sleep(0.1)
            yield token
        finally:
            end_marked(token)
            process.wait()


@pytest.fixture(scope="session")
def ray_cluster(tmp_path_factory: pytest.TempPathFactory) -> RayCluster:
    """The cluster, one for all test processes; the test is skipped, with the reason, where it can't be had."""
    python = str(python_of("ray"))
    try:
        about: Mapping[str, Any] = shared(tmp_path_factory.getbasetemp(), "ray", _start)
    except (OSError, RuntimeError) as error:
        pytest.skip(f"no Ray cluster: {error}")
    return RayCluster(python, about["pid"], about["port"], about["client_port"], Path(about["folder"]))


def _start(folder: Path, owner: int) -> tuple[dict[str, Any], subprocess.Popen[bytes]]:
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        raise RuntimeError("util-linux is not installed")
    log = folder / "log"
    for _ in range(_ATTEMPTS):
        place = Path(tempfile.mkdtemp(prefix="ray-"))  # short: sockets are in it
        port, client_port = free_ports(2)
        user = [] if os.geteuid() == 0 else ["--map-root-user"]
        program = [str(python_of("ray")), str(_PROGRAM), str(place), str(port), str(client_port)]
        command = ["unshare", "--net", *user, *program]
        process = launch(command, log, owner, remove=place, environment={**os.environ, **VARIABLES})
        note = place / "nodes.json"
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end and process.poll() is None and not note.exists():
            time.sleep(0.1)
        if note.exists():
            ports = {"port": port, "client_port": client_port, "folder": str(place)}
            return {"pid": int(note.read_text().partition(":")[2].strip(" }")), **ports}, process
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        stop(process)
        shutil.rmtree(place, ignore_errors=True)
    raise RuntimeError(log.read_text(errors="replace").strip()[-300:])
