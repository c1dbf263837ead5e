"""The queue between the HTTP side and the workers: nothing that was accepted is dropped.

A request waits until a worker is idle and the batch is due. When a worker ends in the middle of a batch, each of
its requests is tried once more, alone, so that the one that ended it takes no other along.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import islice

from trikk.core.errors import PredictionError, TrikkError
from trikk.serving.http.answers import Answer, refusal
from trikk.serving.http.batching import Batching
from trikk.serving.http.counters import Metrics
from trikk.serving.model_processes.fleet import Fleet
from trikk.serving.model_processes.predictor import Request
from trikk.serving.model_processes.worker_link import Link, VersionFailed, WorkerGone
from trikk.serving.model_processes.worker_messages import Message, Order, pack
from trikk.serving.options import Options
from trikk.web.refused import Refused

_log = logging.getLogger("trikk.endpoint")
_SWEEP = 0.1  # seconds between two looks at requests that take too long
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 10.0  # seconds before a worker is started again; twice as long each time

Keep = Callable[[bytes, int, str], Awaitable[None]]


@dataclass(slots=True, eq=False)
class _Waiting:
    request: Request
    future: asyncio.Future[Served]
    since: float
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Served:
    """An answer, and the version that gave it."""

    answer: Answer
    version: int | None


@dataclass(slots=True, eq=False)
class _Running:
    link: Link
    batch: list[_Waiting]
    since: float
    expired: bool = False


class Dispatcher:
    """Hands requests to the workers of the version that is active.

    Args:
        options: limits.
        metrics: where things are counted.
        keep: stores a batch's log rows, so many and with values of that type, before its answers are given; None
            if nothing is logged.
    """

    def __init__(self, options: Options, metrics: Metrics, keep: Keep | None) -> None:
        self._options = options
        self._metrics = metrics
        self._keep = keep
        self._batching = Batching(options.batch)
        self._queue: deque[_Waiting] = deque()
        self._size = 0
        self._running: set[_Running] = set()
        self._undelivered = 0
        self._timer: asyncio.TimerHandle | None = None
        self._pause = _FIRST_PAUSE
        self._tasks: set[asyncio.Future[None]] = set()
        self.fleet: Fleet | None = None

    @property
    def waiting(self) -> int:
        """How many requests wait for a worker."""
        return len(self._queue)

    def submit(self, request: Request) -> asyncio.Future[Served]:
        """Queue a request; raises Refused with 503 if the queue is full."""
        if len(self._queue) >= self._options.queue:
            raise Refused(503, f"{len(self._queue)} requests are waiting already", next="try again in a second")
        loop = asyncio.get_running_loop()
        waiting = _Waiting(request, loop.create_future(), time.monotonic())
        self._queue.append(waiting)
        self._size += len(request.body.data)
        if self._timer is None:
            self._timer = loop.call_later(0, self._pump)
        return waiting.future

    def activate(self, fleet: Fleet) -> None:
        """Give all requests from now on to this fleet; those that are with the old one are finished there."""
        old, self.fleet = self.fleet, fleet
        self._pause = _FIRST_PAUSE
        self._pump()
        for _ in range(fleet.missing):
            self._start(self._add(fleet, 0))
        if old is not None:
            self._start(old.retire())

    async def sweep(self) -> None:
        """Answer requests that took too long, for ever; a worker that is stuck is ended."""
        while True:
            await asyncio.sleep(_SWEEP)
            before = time.monotonic() - self._options.timeout
            while self._queue and self._queue[0].since < before:
                waiting = self._queue.popleft()
                self._size -= len(waiting.request.body.data)
                _give(waiting, self._late())
            for running in [r for r in self._running if r.since < before and not r.expired]:
                running.expired = True
                running.link.kill()

    async def drain(self) -> None:
        """Wait for the batches that are with workers, then end these; whoever still waits has gone."""
        while self._undelivered:
            await asyncio.sleep(_SWEEP / 10)
        for task in list(self._tasks):
            task.cancel()
        if self.fleet is not None:
            await self.fleet.retire()

    def _pump(self) -> None:
        """Give batches to idle workers, as far as they are due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        fleet = self.fleet
        while fleet is not None and fleet.idle and self._queue:
            now = time.monotonic()
            alone = self._queue[0].alone
            wait = 0.0 if alone else self._batching.due(len(self._queue), self._size, self._queue[0].since, now)
            if wait > 0:
                self._timer = asyncio.get_running_loop().call_later(wait, self._pump)
                return
            link = fleet.idle.pop()
            running = _Running(link, self._take(alone), now)
            fleet.busy.add(link)
            self._running.add(running)
            self._undelivered += 1
            self._start(self._run(fleet, running))

    def _take(self, alone: bool) -> list[_Waiting]:
        sizes = (len(waiting.request.body.data) for waiting in islice(self._queue, self._options.batch.requests))
        batch = [self._queue.popleft() for _ in range(1 if alone else self._batching.take(sizes))]
        self._size -= sum(len(waiting.request.body.data) for waiting in batch)
        return batch

    async def _run(self, fleet: Fleet, running: _Running) -> None:
        """Have a worker answer a batch, log it, and give the answers."""
        try:
            answered = await self._asked(fleet, running)
            if answered is not None:
                await self._deliver(fleet.version.version, running.batch, answered)
        except Exception as error:  # noqa: BLE001 - no client may wait for ever
            _log.exception("a batch of version %d could not be answered", fleet.version.version)
            for waiting in running.batch:
                _give(waiting, Served(refusal(error), fleet.version.version))
        finally:
            self._undelivered -= 1

    async def _asked(self, fleet: Fleet, running: _Running) -> Message | None:
        """What the worker says, which is idle then; None if it has ended."""
        link = running.link
        try:
            answered = await link.ask(_packed(running.batch))
        except WorkerGone as error:
            self._lost(fleet, running, error)
            return None
        finally:
            self._running.discard(running)
            fleet.busy.discard(link)
        # Give the worker its next batch before this one is logged and answered: it need not wait for the disk.
        if fleet.retired:
            self._start(link.close())
        else:
            fleet.idle.append(link)
            self._pause = _FIRST_PAUSE
            self._pump()
        return answered

    async def _deliver(self, version: int, batch: list[_Waiting], answered: Message) -> None:
        head, rows = answered.head, answered.head["rows"]
        self._metrics.batch_requests.observe(len(batch))
        self._metrics.batch_rows.observe(rows)
        self._metrics.batch_seconds.observe(head["seconds"])
        # First the log, then the answers: a prediction that somebody has got must be in the table some day.
        if self._keep is not None and rows:
            try:
                await self._keep(answered.parts[-1], rows, head["value"])
            except (OSError, PredictionError) as error:
                _log.error("predictions can't be logged, and are not given out: %s", error)
                problem = "the prediction can't be logged, and is not given out"
                full = Refused(503, problem, next="the endpoint's disk may be full")
                for waiting in batch:
                    _give(waiting, Served(refusal(full if isinstance(error, OSError) else error), version))
                return
        self._metrics.rows.inc(rows)
        for waiting, (status, kind, count, one), body in zip(
            batch, head["answers"], answered.parts[:-1], strict=True
        ):
            _give(waiting, Served(Answer(status, body, kind, count, one), version))

    def _lost(self, fleet: Fleet, running: _Running, error: WorkerGone) -> None:
        """A worker has ended in the middle of a batch."""
        _log.warning("version %d: %s, with %d requests", fleet.version.version, error.what, len(running.batch))
        for waiting in reversed(running.batch):
            if running.expired:
                _give(waiting, self._late())
            elif waiting.alone:
                _give(waiting, Served(_crashed(error), fleet.version.version))
            elif not waiting.future.done():
                # One of the batch may have ended the process. Alone, it takes no other along a second time.
                waiting.alone = True
                self._queue.appendleft(waiting)
                self._size += len(waiting.request.body.data)
        self._start(running.link.close())
        self._metrics.restarts.inc()
        self._start(self._add(fleet, self._longer()))
        self._pump()

    async def _add(self, fleet: Fleet, pause: float) -> None:
        """Give a fleet one more worker, after a pause in seconds, and again after longer ones if that fails."""
        while not fleet.retired:
            await asyncio.sleep(pause)
            try:
                await fleet.add()
            except (VersionFailed, OSError) as error:
                _log.error("version %d can't be loaded once more: %s", fleet.version.version, error)
                pause = self._longer()
                continue
            self._pump()
            return

    def _longer(self) -> float:
        """Seconds to wait before the next worker is started: twice as long each time, until one answers."""
        pause, self._pause = self._pause, min(self._pause * 2, _LONGEST_PAUSE)
        return pause

    def _late(self) -> Served:
        limit = self._options.timeout
        return Served(
            refusal(Refused(504, f"the request took more than {limit:g} s", next="send less at once")), None
        )

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _give(waiting: _Waiting, served: Served) -> None:
    with contextlib.suppress(asyncio.InvalidStateError):  # its client has gone
        waiting.future.set_result(served)


def _crashed(error: TrikkError) -> Answer:
    described = {**error.to_json(), "what": "the model's process ended while it worked on this request, twice"}
    return Answer(500, json.dumps({"error": described}).encode())


def _packed(batch: list[_Waiting]) -> bytes:
    requests = [
        {"type": w.request.body.content_type, "encoding": w.request.body.encoding, "accept": w.request.accept}
        for w in batch
    ]
    return pack({"do": Order.ANSWER, "requests": requests}, [w.request.body.data for w in batch])
