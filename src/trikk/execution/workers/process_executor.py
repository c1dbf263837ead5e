"""The executor of a laptop and of a server: a host process that forks a worker for each attempt."""

from __future__ import annotations

import json
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trikk.core.errors import DefinitionError, ProjectError, RecordError, RunError, TrikkError
from trikk.core.settings import Settings
from trikk.core.values import JSON
from trikk.execution.driving.limits import Capacity, check_gpus
from trikk.execution.step_messages import StepCall, StepResult
from trikk.execution.workers.descendants import TOKEN, end_marked, new_token
from trikk.execution.workers.executor import Ended
from trikk.execution.workers.wire import (
    AskCodes,
    AskParts,
    Codes,
    Kill,
    Message,
    Over,
    Parts,
    Ready,
    Refused,
    Start,
    ToDriver,
    ToHost,
    Wire,
)

if TYPE_CHECKING:
    from trikk.pipeline.graph import Graph

_HASH_SEED = "0"  # sets and dicts of texts have the same order in every worker and every replay
# Every worker faults its memory in anew. Large pages for polars' allocator (jemalloc's MALLOC_CONF, jemalloc.net)
# make that a third cheaper for frames, and keeping freed pages for some seconds saves faulting them in again.
_ALLOCATOR = "thp:always,dirty_decay_ms:5000,muzzy_decay_ms:5000"
STOP_WAIT = 5.0
"""Seconds that a host may take to end after its driver has hung up."""
_IMPORTS = 3  # times that the project is imported, if a signal ends it
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGXCPU)


class ProcessExecutor:
    """A host process with the project's code, and its workers.

    The host is started by the constructor and imports the project meanwhile; `graphs` waits for it.

    Args:
        settings: the project.
        code: the folder to import the code from, if not the project's own.
    """

    queues = False

    def __init__(self, settings: Settings, code: Path | None = None) -> None:
        self.isolation = "fork"
        self._settings = settings
        self._graphs: dict[str, Graph] | None = None
        self._triggers: list[dict[str, JSON]] = []
        self._code = code or settings.root
        self._start_host()

    def _start_host(self) -> None:
        ours, theirs = socket.socketpair()
        self._wire = Wire(ours, ToDriver)
        self._token = new_token()
        arguments = [str(theirs.fileno()), str(self._settings.root), str(self._code)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "trikk.execution.workers.host", *arguments],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=2,
            start_new_session=True,
            env=host_environment(self._token),
        )
        theirs.close()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wire, selectors.EVENT_READ)
        self._early: list[Message] = []

    def graphs(self) -> dict[str, Graph]:
        """The project's pipelines as graphs.

        A host that dies of a signal while it imports is started again: that is no verdict on the code.

        Raises:
            ProjectError, DefinitionError: if the project can't be imported.
            RunError: if the host was killed from outside each time.
        """
        if self._graphs is None:
            ready, described = self._ready()
            if isinstance(ready, Refused):
                raise _as_error(ready.error)
            from trikk.pipeline.graph import Graph

            load = json.loads(described)
            self._triggers = load["triggers"]
            self._graphs = {name: Graph.read(graph) for name, graph in load["graphs"].items()}
            if ready.fresh:
                self.isolation = f"fresh interpreter: {ready.fresh}"
        return self._graphs

    def has_imported(self, timeout: float) -> bool:
        """Whether the import has ended, well or not, within so many seconds; `graphs` does not wait then."""
        return self._graphs is not None or bool(self._selector.select(timeout))

    def triggers(self) -> list[dict[str, JSON]]:
        """The triggers that the project's code declares; raises as `graphs` does."""
        self.graphs()
        return self._triggers

    def _ready(self) -> tuple[Ready | Refused, bytes]:
        for number in range(1, _IMPORTS + 1):
            try:
                return self._answer(Ready | Refused)
            except (ProjectError, RunError):
                if number == _IMPORTS or (self._process.returncode or 0) >= 0:
                    raise
            self._selector.close()
            self._wire.sock.close()
            self._start_host()
        raise AssertionError

    def codes(self, pipeline: str) -> dict[str, str]:
        """For each step the digest of the code that it reaches in the project."""
        self._send(AskCodes(pipeline))
        answer: Codes = self._answer(Codes)[0]
        return answer.codes

    def parts(self, pipeline: str) -> tuple[dict[str, dict[str, str]], str]:
        """For each step the digests of all parts of its code, and that of what importing the project does."""
        self._send(AskParts(pipeline))
        answer: Parts = self._answer(Parts)[0]
        return answer.parts, answer.imports

    def check(self, graph: Graph, code: str) -> None:  # noqa: ARG002 - it has been imported
        """Raise UsageError if a step needs more accelerators than this machine has."""
        check_gpus(graph, Capacity.of_machine())

    def capacity(self, max_parallel: int | None) -> Capacity:
        """What this machine takes at once."""
        return Capacity.of_machine(max_parallel or self._settings.max_parallel)

    def start(self, task: str, call: StepCall) -> None:
        """Have the host fork a worker for the call."""
        self._send(Start(task), call.to_bytes())

    def poll(self, timeout: float) -> list[Ended]:
        """The attempts that have ended, waiting at most `timeout` seconds for one."""
        if not self._early and self._selector.select(timeout):
            self._early += self._receive()
        messages, self._early = self._early, []
        return [
            Ended(head.task, result_of(answer), head.status, head.peak)
            for head, answer in messages
            if isinstance(head, Over)
        ]

    def stop(self, task: str, *, force: bool) -> None:
        """Send the attempt's process group SIGTERM, or SIGKILL with `force`."""
        number = signal.SIGKILL if force else signal.SIGTERM
        self._send(Kill(task, int(number)))

    def close(self) -> None:
        """Hang up: the host ends its workers and itself."""
        self._selector.close()
        self._wire.sock.close()
        if not self._has_ended(STOP_WAIT if self._graphs is not None else 0):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._end_what_is_left(self._process.wait())

    def _end_what_is_left(self, status: int | None) -> None:
        """End what the host's workers have started, if it could not do so itself."""
        if status:
            end_marked(self._token)

    def _has_ended(self, timeout: float) -> bool:
        """Whether the host ends within that time; `Popen.wait` would sleep up to 50 ms too long."""
        if self._process.poll() is not None:
            return True
        try:
            watched = os.pidfd_open(self._process.pid)
        except (AttributeError, OSError):  # not Linux
            try:
                return self._process.wait(timeout) is not None
            except subprocess.TimeoutExpired:
                return False
        try:
            return bool(select.select([watched], [], [], timeout)[0])
        finally:
            os.close(watched)

    def _answer(self, kinds: Any) -> tuple[Any, bytes]:
        while True:
            messages = self._receive()
            for index, message in enumerate(messages):
                if isinstance(message[0], kinds):
                    self._early += messages[index + 1 :]
                    return message
                self._early.append(message)

    def _send(self, head: ToHost, load: bytes = b"") -> None:
        try:
            self._early += self._wire.exchange(head, load)
        except OSError as error:
            raise self._gone() from error

    def _receive(self) -> list[Message]:
        messages = self._wire.receive()
        if messages is None:
            raise self._gone()
        return messages

    def _gone(self) -> TrikkError:
        try:
            status = self._process.wait(1)
        except subprocess.TimeoutExpired:
            status = None
        self._end_what_is_left(status)
        how = f"signal {-status}" if status and status < 0 else f"status {status}"
        if self._graphs is None and status is not None and -status in _FROM_OUTSIDE:
            return RunError(
                f"the process that imports the project was killed each time, {_IMPORTS} times ({how})",
                next="look for who ends it (most often memory runs out), then try again",
            )
        if self._graphs is None:
            return ProjectError(
                f"a module of the project ended its process while it was imported ({how})",
                where=str(self._settings.root),
                next=f"mend that: python -c 'import {self._settings.pipelines[0]}' shows it",
            )
        return RunError(f"the process that holds the project's code has ended ({how})", next="trikk resume last")


def host_environment(token: str) -> dict[str, str]:
    """The environment of a process that imports a project."""
    return {"_RJEM_MALLOC_CONF": _ALLOCATOR, **os.environ, "PYTHONHASHSEED": _HASH_SEED, TOKEN: token}


def result_of(answer: bytes) -> StepResult | None:
    """What a worker answered; None if it died before, or if what its step wrote on the pipe is no answer."""
    try:
        return StepResult.from_bytes(answer) if answer else None
    except RecordError:
        return None


def _as_error(data: dict[str, Any]) -> TrikkError:
    cls = DefinitionError if data["code"] == DefinitionError.code else ProjectError
    return cls(data["what"], where=data["where"], next=data["next"])
