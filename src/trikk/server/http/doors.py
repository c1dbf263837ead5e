"""What the handlers of requests share: the site, its parts, the streams of events, and the threads they run in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any

from trikk.server.http.event_streams import EventStreams
from trikk.server.http.server_metrics import ServerMetrics
from trikk.server.parts import Parts
from trikk.server.site import Site
from trikk.web.refused import Refused

if TYPE_CHECKING:
    from trikk.access.guard import Guard
    from trikk.access.signing_in import SignIn

_LOOKING, _CHANGING = 6, 4  # threads; a journal that is locked for writing holds up those that change something
_WAITING = 200  # requests that may wait for a thread
LONGEST = 25.0
"""Seconds that a request may take, unless its route says otherwise."""
AT_LENGTH = 120.0
"""Seconds that a request may take which reads a long past, or all there is."""
_TURNS, _TURN_WAIT = BoundedSemaphore(2), 5.0  # seconds


@contextmanager
def at_length(doing: str) -> Iterator[None]:
    """Do what may take seconds or minutes: by two requests at a time, so that all others have threads meanwhile.

    Args:
        doing: what is being done, for the others: "costs are being added up".

    Raises:
        Refused: 503 if two are at it for five seconds more.
    """
    if not _TURNS.acquire(timeout=_TURN_WAIT):
        raise Refused(503, f"{doing} for others", next="try again in a while")
    try:
        yield
    finally:
        _TURNS.release()


class Workers:
    """Threads for requests: what only looks never waits for what changes something."""

    def __init__(self) -> None:
        self._looking = ThreadPoolExecutor(_LOOKING, "http-looking")
        self._changing = ThreadPoolExecutor(_CHANGING, "http-changing")
        self.busy = 0

    async def run(self, work: Callable[[], Any], *, changes: bool, longest: float = LONGEST) -> Any:
        """What `work` returns or raises, done in a thread, if it takes no more than `longest` seconds.

        Raises:
            Refused: 503 if too many wait already, or it took too long; it may still be done then.
        """
        if self.busy >= _WAITING:
            raise Refused(503, f"{self.busy} requests are waiting already", next="try again in a second")
        future = (self._changing if changes else self._looking).submit(work)
        self.busy += 1
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._over))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), longest)
        except TimeoutError:
            if future.done() and not future.cancelled():
                raise
            raise _late(future, longest, changes=changes) from None

    def _over(self) -> None:
        self.busy -= 1

    def close(self) -> None:
        """Take nothing more; who is at work is not waited for."""
        for pool in (self._looking, self._changing):
            pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Doors:
    """What the handlers share."""

    site: Site
    parts: Parts
    streams: EventStreams
    metrics: ServerMetrics
    guard: Guard
    workers: Workers = field(default_factory=Workers)
    sign_in: SignIn | None = None  # None if nobody signs in


def _late(future: Future[Any], longest: float, *, changes: bool) -> Refused:
    begun = not future.cancelled()
    unsure = " It may be done all the same: repeat it with the same Idempotency-Key." if begun and changes else ""
    return Refused(
        503,
        f"the request took more than {longest:g} s: the journal or the store is slow or locked.{unsure}",
        next="try again in a while",
    )
