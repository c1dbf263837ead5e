"""moto as a server in a process of its own: DynamoDB, S3 and STS that know no limits and check no rights."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

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
def moto_server() -> Iterator[MotoServer]:
    """The server; the test is skipped, with the reason, where it can't be had."""
    pytest.importorskip("moto.server", reason="no moto server", exc_type=ImportError)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + _SECONDS
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=5).close()
                break
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.skip("no moto server: it did not start")
            time.sleep(0.1)
        yield MotoServer(f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait()
