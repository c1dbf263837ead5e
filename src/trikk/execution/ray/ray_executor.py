"""The executor of a Ray cluster: a carrier brings each call to a worker there, and its result back.

What the pipelines look like is asked of a host on this machine, which imports the project and runs no step.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from trikk.core.errors import MissingExtra, RunError
from trikk.core.settings import FILE, Settings
from trikk.core.text import printable_lines
from trikk.core.values import JSON
from trikk.execution.driving.limits import Capacity, check_gpus
from trikk.execution.ray.ray_messages import ClusterNode, FromCarrier, Joined, Look, Looked
from trikk.execution.ray.ray_settings import ray_settings
from trikk.execution.ray.reach import Reach
from trikk.execution.step_messages import StepCall
from trikk.execution.workers.executor import Began, Ended
from trikk.execution.workers.process_executor import STOP_WAIT, ProcessExecutor, result_of
from trikk.execution.workers.wire import Kill, Message, Over, Refused, Start, Wire
from trikk.pipeline.graph import Graph

_JOIN_WITHIN = 120.0  # seconds; Ray itself gives up earlier
_AHEAD = 4  # times what the cluster has: tasks that wait in it begin without the driver's being asked
_LOG_PREFIX = re.compile(r"^\[[^]]*\] (?:\S+:\d+: )?")  # of a line that Ray's C++ has written
_AT_LEAST = 64  # steps at once that say that they take no core
# Ray gives up on a head that does not answer, and ends the process that is connected, after 60 s otherwise.
_VARIABLES = {"RAY_gcs_rpc_server_reconnect_timeout_s": "20", "RAY_USAGE_STATS_ENABLED": "0"}


class RayExecutor:
    """A carrier's process, connected to the cluster, and a host for the project's graphs.

    Both are started by the constructor and get ready meanwhile.

    Args:
        settings: the project.
        code: the folder to import the code from, if not the project's own.

    Raises:
        MissingExtra: if Ray is not installed.
        ProjectError: if `[targets.ray]` is missing or wrong.
    """

    queues = True

    def __init__(self, settings: Settings, code: Path | None = None) -> None:
        if importlib.util.find_spec("ray") is None:
            raise MissingExtra("running steps on a Ray cluster", "ray")
        self._settings = settings
        self._cluster = ray_settings(settings)
        self.isolation = "ray"
        self._nodes: list[ClusterNode] = []
        self._early: list[Message] = []
        self._reach = Reach(settings)
        self._start_carrier()
        self._host = ProcessExecutor(settings, code)

    def _start_carrier(self) -> None:
        ours, theirs = socket.socketpair()
        self._wire = Wire(ours, FromCarrier)
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this
        self._process = subprocess.Popen(
            [sys.executable, "-m", "trikk.execution.ray.ray_carrier", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.PIPE,
            stdout=self._said,
            stderr=self._said,
            start_new_session=True,
            env={**_VARIABLES, **os.environ},
        )
        theirs.close()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wire, selectors.EVENT_READ)
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self._process.stdin as stdin:
            stdin.write(self._cluster.address.encode())

    def graphs(self) -> dict[str, Graph]:
        """The project's pipelines as graphs; raises as `ProcessExecutor.graphs`."""
        return self._host.graphs()

    def triggers(self) -> list[dict[str, JSON]]:
        """The triggers that the project's code declares."""
        return self._host.triggers()

    def codes(self, pipeline: str) -> dict[str, str]:
        """For each step the digest of the code that it reaches in the project."""
        return self._host.codes(pipeline)

    def check(self, graph: Graph, code: str) -> None:
        """Raise unless the cluster is there, and each of its nodes can run the code and reach what it needs.

        Raises:
            RunError: if the cluster can't be reached.
            UsageError: if a node can't see the project's storage, lacks something that its code imports or has
                another trikk, or no node has the accelerators that a step needs.
        """
        self._join()
        largest = max((node.gpus for node in self._nodes), default=0)
        check_gpus(graph, Capacity(0.0, 0.0, largest, 0.0), "the largest node of the Ray cluster")
        setup = self._reach.setup(code)
        self._send(Look(fresh=self._settings.isolation == "fresh"), setup.to_bytes())
        answer: Looked = self._answer(Looked)
        self._reach.check(answer.views)

    def capacity(self, max_parallel: int | None) -> Capacity:
        """What the cluster takes at once, and some that wait in it, so that no worker waits for the driver."""
        cpus, memory, gpus = (
            sum(getattr(node, name) for node in self._nodes) for name in ("cpus", "memory", "gpus")
        )
        slots = max_parallel or self._cluster.max_parallel or max(_AT_LEAST, 16 * cpus)
        return Capacity(cpus * _AHEAD, memory * _AHEAD, int(gpus) * _AHEAD, float(slots))

    def start(self, task: str, call: StepCall) -> None:
        """Have the carrier submit the call."""
        self._send(Start(task), call.to_bytes())

    def poll(self, timeout: float) -> list[Ended | Began]:
        """The attempts that have begun or ended, waiting at most `timeout` seconds for one."""
        if not self._early and self._selector.select(timeout):
            self._early += self._receive()
        messages, self._early = self._early, []
        return [
            head if isinstance(head, Began) else Ended(head.task, result_of(answer), head.status, head.peak)
            for head, answer in messages
            if isinstance(head, Began | Over)
        ]

    def stop(self, task: str, *, force: bool) -> None:
        """Have Ray interrupt the attempt, or with `force` end its worker."""
        self._send(Kill(task, int(signal.SIGKILL if force else signal.SIGTERM)))

    def close(self) -> None:
        """Hang up: the carrier ends, and with it the cluster's job."""
        self._host.close()
        self._selector.close()
        self._wire.sock.close()
        try:
            self._process.wait(STOP_WAIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()
        self._reach.close()

    def _join(self) -> None:
        if self._nodes:
            return
        if not self._early and not self._selector.select(_JOIN_WITHIN):
            self._process.kill()
        answer: Joined | Refused = self._answer(Joined | Refused)
        if isinstance(answer, Refused):
            raise self._away(str(answer.error["what"]))
        self._nodes = answer.nodes
        self.isolation = f"ray: {len(self._nodes)} nodes" if len(self._nodes) != 1 else "ray: one node"

    def _answer(self, kinds: Any) -> Any:
        while True:
            for position, message in enumerate(self._early):
                if isinstance(message[0], kinds):
                    del self._early[position]
                    return message[0]
            self._early += self._receive()

    def _send(self, head: Look | Start | Kill, load: bytes = b"") -> None:
        try:
            self._early += self._wire.exchange(head, load)
        except OSError as error:
            raise self._gone() from error

    def _receive(self) -> list[Message]:
        messages = self._wire.receive()
        if messages is None:
            raise self._gone()
        return messages

    def _gone(self) -> RunError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        self._said.seek(0)
        said = [line for line in printable_lines(self._said.read().decode(errors="replace")).splitlines() if line]
        line = _LOG_PREFIX.sub("", said[-1]) if said else "the process that was connected to it has ended"
        return self._away(line.partition(". ")[0])

    def _away(self, why: str) -> RunError:
        if not self._nodes:
            return RunError(
                f"no Ray cluster can be reached at {self._settings.targets['ray']['address']}: {why}",
                where=str(self._settings.root / FILE),
                next="start it, or mend the address in [targets.ray]; --target local runs the steps here",
            )
        return RunError(
            f"the Ray cluster is gone: {why}",
            next="trikk resume last --target ray once it is back, or trikk resume last to go on here",
        )
