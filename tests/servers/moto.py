"""moto as a server in a process of its own: services of AWS that know no limits and check no rights."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.servers.shared import answers, free_ports, launch, shared, stop

_SECONDS = 60


@dataclass(frozen=True, slots=True)
class MotoServer:
    """A server on loopback."""

    endpoint: str

    def environment(self) -> dict[str, str]:
        """The AWS_* variables that lead to it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
        }

    def client(self, service: str) -> Any:
        """A boto3 client."""
        import boto3

        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            region_name="eu-west-1",
        )


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> MotoServer:
    """The server; the test is skipped, with the reason, where it can't be had."""
    pytest.importorskip("moto.server", reason="no moto server", exc_type=ImportError)
    try:
        return MotoServer(shared(tmp_path_factory.getbasetemp(), "moto", _start))
    except (OSError, RuntimeError) as error:
        pytest.skip(f"no moto server: {error}")


def _start(folder: Path, owner: int) -> tuple[str, subprocess.Popen[bytes]]:
    [port] = free_ports(1)
    command = [
        sys.executable,
        "-P",
        str(Path(__file__).with_name("moto_extended.py")),
        "-H",
        "127.0.0.1",
        "-p",
        str(port),
    ]
    process = launch(command, folder / "log", owner)
    if not answers(process, port, _SECONDS):
        stop(process)
        raise RuntimeError("it did not start")
    return f"http://127.0.0.1:{port}", process
