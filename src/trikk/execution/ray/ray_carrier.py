"""The process that speaks with a Ray cluster for a driver.

A process of its own, since Ray ends the process that is connected when its cluster is gone, and sets signal
handlers. So a driver loses this process and no more: it keeps the run's lease, and says what happened. When the
driver goes away, this process ends, and with it the cluster's job, whose tasks Ray ends.
"""

from __future__ import annotations

import contextlib
import os
import queue
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ray
from msgspec.structs import replace
from ray.exceptions import RayError, TaskCancelledError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from trikk.execution.ray.log_sink import LogSink, Piece
from trikk.execution.ray.ray_messages import (
    ClusterNode,
    Joined,
    Look,
    Looked,
    NodeView,
    RunSetup,
    ToCarrier,
)
from trikk.execution.ray.ray_worker import Answer, attempt, look
from trikk.execution.step_messages import StepCall, failure
from trikk.execution.workers.executor import Began
from trikk.execution.workers.wire import Kill, Over, Refused, Start, Wire

_VARIABLES = {"PYTHONHASHSEED": "0"}  # as a host's: sets have the same order in every worker and every replay
_KNOCK_WITHIN = 10.0  # seconds
_LOOK_WITHIN = 120.0  # seconds for a node to start a worker and import the project
_LOG_WITHIN = 3.0  # seconds for what a step has logged to arrive after its result
_LONG = 0.5  # seconds after which a step's output is followed
_AGAIN = 1.0  # seconds until a sink is asked again that could not be reached


@dataclass(slots=True)
class _Carried:
    """An attempt that is with the cluster.

    Attributes:
        ref: Ray's reference to its result.
        log: where its output goes; None if it is not captured.
        since: monotonic time at which it was submitted.
        logged: bytes of it that have come.
        answer: its result, while more of its output is awaited.
        until: monotonic time until which that is.
        stopped: whether the driver wanted it to end.
        has_begun: whether the driver knows that it does not wait in the cluster.
    """

    ref: Any
    log: Path | None
    since: float
    logged: int = 0
    answer: Answer | None = None
    until: float = 0.0
    stopped: bool = False
    has_begun: bool = False

    def take(self, begin: int, data: bytes) -> None:
        """Append to the log what is new in a piece of it that begins at a byte: some come twice, some never."""
        data = data[max(0, self.logged - begin) :]
        self.logged = max(self.logged, begin) + len(data)
        if self.log is not None:
            with contextlib.suppress(OSError), self.log.open("ab") as file:  # a log is not worth a run
                file.write(data)


class Carrier:
    """Serves one driver, at the other end of `wire`, until it hangs up.

    Args:
        wire: the connection.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._carried: dict[str, _Carried] = {}
        self._tasks: dict[tuple[float, float, int], Any] = {}  # Ray's remote functions by what a call takes
        self._nodes: dict[str, ClusterNode] = {}
        self._setup = b""
        self._fresh = False
        self._name = f"trikk-log-{os.urandom(8).hex()}"
        self._sink: Any = None  # the actor of that name, once a step takes long
        self._drain_at: float | None = None
        # Ray tells of results in threads of its own: what is to be done then is done by this one.
        self._news: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._awake, self._wake = os.pipe()

    def join(self, address: str) -> None:
        """Connect to the cluster; raises whatever Ray does if it can't be."""
        _knock(address)
        runtime = {"env_vars": _VARIABLES}
        try:
            ray.init(address, runtime_env=runtime, log_to_driver=False, logging_level="ERROR")
        except ConnectionError:  # the head starts a process for each client, and may not have had the time
            ray.init(address, runtime_env=runtime, log_to_driver=False, logging_level="ERROR")
        for node in ray.nodes():
            if node["Alive"]:
                has = node["Resources"]
                self._nodes[node["NodeID"]] = ClusterNode(
                    node["NodeManagerAddress"], has.get("CPU", 0.0), has.get("memory", 0.0), int(has.get("GPU", 0))
                )
        self._wire.send(Joined(list(self._nodes.values())))

    def serve(self) -> None:
        """Carry calls until the driver is gone."""
        selector = selectors.DefaultSelector()
        selector.register(self._wire, selectors.EVENT_READ)
        selector.register(self._awake, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select(self._patience()):
                if key.fd == self._awake:
                    os.read(self._awake, 4096)
                    continue
                messages = self._wire.receive()
                if messages is None:
                    return
                for head, load in messages:
                    self._obey(head, load)
            with contextlib.suppress(queue.Empty):
                while True:
                    self._news.get_nowait()()
            self._keep_time()

    def _patience(self) -> float | None:
        due = [carried.until for carried in self._carried.values() if carried.answer is not None]
        due += [] if self._drain_at is None else [self._drain_at]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _keep_time(self) -> None:
        now = time.monotonic()
        for task, carried in list(self._carried.items()):
            if carried.answer is not None and now >= carried.until:
                self._end(task, carried, carried.answer)
        if self._drain_at is not None and now >= self._drain_at:
            self._drain()

    def _later(self, what: Callable[[], None]) -> None:
        self._news.put(what)
        os.write(self._wake, b".")

    def _obey(self, head: ToCarrier, load: bytes) -> None:
        if isinstance(head, Look):
            self._look(head, load)
        elif isinstance(head, Kill):
            carried = self._carried.get(head.task)
            if carried is not None and carried.answer is None:  # else it has ended meanwhile
                carried.stopped = True
                with contextlib.suppress(RayError, ValueError, ConnectionError):
                    ray.cancel(carried.ref, force=head.signal == signal.SIGKILL)
        else:
            self._start(head, StepCall.from_bytes(load))

    # -- what nodes see of the project --------------------------------------------------------------

    def _look(self, head: Look, load: bytes) -> None:
        self._fresh = head.fresh
        self._setup = replace(RunSetup.from_bytes(load), sink=self._name).to_bytes()
        looking = ray.remote(look)
        refs = {}
        for node_id, node in self._nodes.items():
            affinity = NodeAffinitySchedulingStrategy(node_id, soft=False)
            options = {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": affinity}
            refs[looking.options(**options).remote(self._setup, node.name)] = node.name
        ready, _ = ray.wait(list(refs), num_returns=len(refs), timeout=_LOOK_WITHIN)
        self._wire.send(Looked([_view(ref, name, ref in ready) for ref, name in refs.items()]))

    # -- attempts -----------------------------------------------------------------------------------

    def _start(self, head: Start, call: StepCall) -> None:
        log = Path(call.log) if call.log else None
        ref = self._task(call).remote(self._setup, replace(call, log=head.task).to_bytes())
        now = time.monotonic()
        self._carried[head.task] = _Carried(ref, log, now)
        if self._sink is None and self._drain_at is None:
            self._drain_at = now + _LONG
        ref.future().add_done_callback(lambda future: self._later(partial(self._over, head.task, future)))

    def _task(self, call: StepCall) -> Any:
        """The cluster's function for what a call takes, which is never more than its largest node has."""
        nodes = self._nodes.values()
        cpus = min(call.cpus, max((node.cpus for node in nodes), default=call.cpus))
        memory = min(call.memory, max((node.memory for node in nodes), default=call.memory))
        key = (cpus, memory, call.gpus)
        if key not in self._tasks:
            options: dict[str, Any] = {"num_cpus": cpus, "num_gpus": call.gpus, "max_retries": 0}
            options |= {"memory": memory} if memory else {}
            options |= {"max_calls": 1} if self._fresh else {}
            self._tasks[key] = ray.remote(**options)(attempt)
        return self._tasks[key]

    def _over(self, task: str, future: Any) -> None:
        """An attempt has ended: its answer, or why there is none."""
        carried = self._carried[task]
        error = future.exception()
        if isinstance(error, TaskCancelledError) and carried.stopped:
            self._end(task, carried, (b"", b"", 0))
        elif error is not None:
            result = failure("lost", f"Ray lost it: {_lost(error)}", retryable=True)
            self._end(task, carried, (result.to_bytes(), b"", carried.logged))
        else:
            answer = future.result()
            carried.answer, carried.until = answer, time.monotonic() + _LOG_WITHIN
            self._end_if_whole(task, carried)

    def _end_if_whole(self, task: str, carried: _Carried) -> None:
        """End an attempt whose answer is there, unless a part of its log is still on its way."""
        if carried.answer is not None and carried.logged >= carried.answer[2]:
            self._end(task, carried, carried.answer)

    def _end(self, task: str, carried: _Carried, answer: Answer) -> None:
        del self._carried[task]
        carried.take(answer[2], answer[1])
        self._wire.send(Over(task, 0, 0), answer[0])

    # -- what steps log -----------------------------------------------------------------------------

    def _drain(self) -> None:
        """Ask the sink for what has come; there is none until a step takes long, for it is a process, too."""
        self._drain_at = None
        if self._sink is None:
            since = min((carried.since for carried in self._carried.values()), default=None)
            if since is None or time.monotonic() < since + _LONG:
                self._drain_at = None if since is None else since + _LONG
                return
            self._sink = ray.remote(LogSink).options(name=self._name, num_cpus=0, max_restarts=-1).remote()
        ref = self._sink.drain.remote()
        ref.future().add_done_callback(lambda future: self._later(partial(self._drained, future)))

    def _drained(self, future: Any) -> None:
        if future.exception() is not None:  # its node is gone: Ray starts another
            self._drain_at = time.monotonic() + _AGAIN
            return
        pieces: list[Piece] = future.result()
        for task, seconds, begin, data in pieces:
            carried = self._carried.get(task)
            if carried is None:
                continue
            if not carried.has_begun:
                carried.has_begun = True
                self._wire.send(Began(task, seconds))
            carried.take(begin, data)
            self._end_if_whole(task, carried)
        self._drain()


def _knock(address: str) -> None:
    """Raise OSError if nothing listens at an address: Ray would try for a minute."""
    host, sign, port = address.removeprefix("ray://").rpartition(":")
    if sign:
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK_WITHIN).close()


def _view(ref: Any, name: str, is_ready: bool) -> NodeView:
    if not is_ready:
        return NodeView(name, "", "", [], f"it has not answered within {_LOOK_WITHIN:.0f} seconds")
    try:
        return NodeView.from_bytes(ray.get(ref))
    except RayError as error:
        return NodeView(name, "", "", [], _lost(error))


def _lost(error: BaseException) -> str:
    """In a line, what Ray says of a task that gave no result."""
    cause = getattr(error, "cause", None)
    lines = [line.strip() for line in str(cause or error).splitlines() if line.strip()]
    return f"{type(cause or error).__name__}: {lines[0] if lines else ''}"


def main() -> None:
    """`python -m trikk.execution.ray.ray_carrier FD`: serve the driver at the other end of socket FD.

    The address comes on stdin: it may hold what others on the machine should not read.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    address = sys.stdin.read()
    wire = Wire(socket.socket(fileno=int(sys.argv[1])), ToCarrier)
    carrier = Carrier(wire)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the driver is gone
        try:
            carrier.join(address)
        except Exception as error:  # noqa: BLE001 - whatever Ray raises where there is no cluster
            wire.send(Refused({"what": _lost(error)}))
            return
        carrier.serve()
    os._exit(0)


if __name__ == "__main__":
    main()
