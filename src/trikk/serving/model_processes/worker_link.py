"""The front's end of a worker: its process, and one exchange of messages at a time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

from trikk.core.errors import TrikkError
from trikk.serving.model_processes.worker_messages import PREFIX, LoadSpec, Message, Order, length, pack, unpack

_END = 2.0  # seconds that a worker has to end by itself once the front has hung up
# More threads only help large batches, and wait for each other actively: more workers are what uses more cores.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}


class WorkerGone(TrikkError):
    """A worker's process has ended."""

    code = "worker"


class VersionFailed(TrikkError):
    """A model version could not be loaded or does not predict."""

    code = "version"


class Link:
    """A worker's process.

    Made by `Link.start`; used by one task at a time.
    """

    def __init__(self, process: subprocess.Popen[bytes], sock: socket.socket) -> None:
        self._process = process
        self._sock = sock
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self.modules: list[str] = []

    @classmethod
    async def start(cls, folder: Path) -> Link:
        """Start a worker; it loads nothing yet.

        The process is started in the thread of the event loop: the kernel ends it when that thread ends.

        Args:
            folder: its current folder.
        """
        ours, theirs = socket.socketpair()
        process = subprocess.Popen(
            [sys.executable, "-m", "trikk.serving.model_processes.serving_worker", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=2,
            cwd=folder,
            env={**_ONE_THREAD, **os.environ, "PYTHONHASHSEED": "0"},
            start_new_session=True,
        )
        theirs.close()
        link = cls(process, ours)
        link._reader, link._writer = await asyncio.open_connection(sock=ours)
        return link

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    async def preload(self, modules: list[str]) -> None:
        """Have it import libraries; does not wait for that."""
        await self._send(pack({"do": Order.PRELOAD, "modules": modules}))

    async def load(self, spec: LoadSpec, limit: float) -> str | None:
        """Have it load a version and try it; it is ended if that takes more than `limit` seconds.

        Returns:
            A note on what did not go well but does not matter, if there is one.

        Raises:
            VersionFailed: if that fails, or ends the process.
        """
        try:
            async with asyncio.timeout(limit):
                answer = (await self.ask(pack({"do": Order.LOAD, **spec.to_json()}))).head
        except TimeoutError as error:
            self.kill()
            raise VersionFailed(
                f"version {spec.version['version']} was not loaded within {limit:g} s; its process was ended",
                next="see what its code waits for while it is imported, or give it more: --load-timeout",
            ) from error
        except WorkerGone as error:
            raise VersionFailed(
                f"version {spec.version['version']} ended its process while it was loaded: {error.what}",
                next="load it by hand: trikk.Model in a step, or the endpoint's own log",
            ) from error
        if "error" in answer:
            problem = answer["error"]
            raise VersionFailed(problem["what"], where=problem["where"], next=problem["next"])
        self.modules = answer["ready"]["modules"]
        note: str | None = answer["ready"]["note"]
        return note

    async def ask(self, message: bytes) -> Message:
        """Send a packed message and wait for the answer; WorkerGone if the process ends."""
        await self._send(message)
        try:
            count = length(await self._reader.readexactly(PREFIX))
            return unpack(await self._reader.readexactly(count))
        except (asyncio.IncompleteReadError, OSError) as error:
            raise self._gone() from error

    def kill(self) -> None:
        """End the process at once."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def close(self) -> None:
        """Hang up, and wait for the process to end."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
        try:
            await asyncio.to_thread(self._process.wait, _END)
        except subprocess.TimeoutExpired:
            self.kill()
            await asyncio.to_thread(self._process.wait)

    async def _send(self, message: bytes) -> None:
        try:
            self._writer.write(message)
            await self._writer.drain()
        except OSError as error:
            raise self._gone() from error

    def _gone(self) -> WorkerGone:
        status = self._process.poll()
        how = f" (signal {-status})" if status is not None and status < 0 else ""
        return WorkerGone(f"the model's process has ended{how}", next="the endpoint's own log says more")
