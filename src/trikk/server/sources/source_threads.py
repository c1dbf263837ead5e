"""The threads that look at the sources, one for each place, and hand over what has arrived.

One thread for a place, since sources of one place are away together, and a place that hangs (a mount, a broker
behind a firewall) must not hold up another. A source that is away is looked at again after growing pauses; when
it goes away and when it is back are logged, once each. What it is like is in its `Health`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from msgspec.structs import replace

from trikk.core.clock import Clock, SystemClock
from trikk.core.errors import TrikkError
from trikk.core.text import printable, shorten
from trikk.pipeline.parameters.trigger_event import Event
from trikk.runs.back_off import BackOff
from trikk.server.sources.source import Health, Source

Deliver = Callable[[str, Event], bool]
"""Starts a trigger's run for an event, or finds that it has one; False if not now: it is to come again."""

_BACK_OFF = BackOff(first=1.0, longest=30.0)
_SHARE = 50  # a look that works for a second is followed by fifty without: 2 % of a core at most
_LONGEST_PAUSE = 300.0
_log = logging.getLogger("trikk.server")


class WatchedSource:
    """A source, when it is looked at next, and how it fares.

    Args:
        source: the source.
        deliver: what its events are handed to.
        clock: for pauses.
        cpu: seconds for which this thread has worked.

    Attributes:
        health: how it fares; read by other threads, and only ever replaced as a whole.
        due: when it is looked at next, by the clock that never jumps.
        looked: set when it has been looked at once, be it in vain.
    """

    def __init__(
        self, source: Source, deliver: Deliver, clock: Clock, cpu: Callable[[], float] = time.thread_time
    ) -> None:
        self.source = source
        self.health = Health()
        self.due = clock.monotonic()
        self.looked = threading.Event()
        self._deliver = deliver
        self._clock = clock
        self._cpu = cpu
        self._failures = 0

    def turn(self) -> None:
        """Look, hand over, settle; whatever goes wrong is in `health`, and is tried again."""
        began, worked = self._clock.monotonic(), self._cpu()
        pause = self.source.every
        try:
            events = self.source.look()
            settled = self._hand_over(events)
            if settled:
                self.source.settle(settled)
        except Exception as error:  # noqa: BLE001 - or a library's, of which there is no list: the thread must go on
            pause = max(pause, self._fail(error))
        else:
            self._recover()
            if len(settled) < len(events):
                pause = max(pause, 1.0)
        now = self._clock.monotonic()
        # A look that waits for what comes costs nothing meanwhile, and the first one imports libraries.
        if self.source.every > 0 and self.looked.is_set():
            pause = max(pause, min(_SHARE * (self._cpu() - worked), _LONGEST_PAUSE), now - began)
        self.looked.set()
        self.due = now + pause

    def _hand_over(self, events: Sequence[Event]) -> list[Event]:
        """Those that are written down now, up to the first that could not be."""
        settled: list[Event] = []
        for event in events:
            if not self._deliver(self.source.trigger, event):
                break
            settled.append(event)
        return settled

    def _fail(self, error: Exception) -> float:
        what = error.what if isinstance(error, TrikkError) else f"{type(error).__name__}: {error}"
        what = shorten(printable(what), 500)
        if self._failures == 0:
            _log.warning("trigger %s: %s", self.source.trigger, what)
        self._failures += 1
        since = self.health.away_since
        self.health = replace(
            self.health,
            away_since=self._clock.now() if since is None else since,
            why=what,
            next=(error.next or "") if isinstance(error, TrikkError) else "",
        )
        return _BACK_OFF.pause(self._failures)

    def _recover(self) -> None:
        if self._failures:
            _log.warning("trigger %s: %s is back", self.source.trigger, printable(self.source.place))
        self._failures = 0
        number, last = self.source.set_aside
        health = Health(set_aside=number, last_set_aside=last)
        if health != self.health:
            self.health = health


class SourceThreads:
    """All sources of a server; may be replaced as a whole by another when what is declared has changed.

    Args:
        sources: the sources.
        deliver: what their events are handed to; called by several threads.
        clock: for pauses.
    """

    def __init__(self, sources: Iterable[Source], deliver: Deliver, clock: Clock | None = None) -> None:
        clock = clock or SystemClock()
        self._clock = clock
        self._watched = [WatchedSource(source, deliver, clock) for source in sources]
        self._ended = threading.Event()
        by_place = sorted(self._watched, key=lambda watched: watched.source.place)
        self._threads = [
            threading.Thread(target=self._run, args=(list(group),), name=f"source {place}"[:60], daemon=True)
            for place, group in groupby(by_place, key=lambda watched: watched.source.place)
        ]

    def start(self, *, wait: float = 5.0) -> None:
        """Begin, and wait until each was looked at once, so that what arrives from now on is seen as new.

        Args:
            wait: seconds to wait at most: what is away does not hold up the server.
        """
        for thread in self._threads:
            thread.start()
        deadline = self._clock.monotonic() + wait
        for watched in self._watched:
            watched.looked.wait(max(0.0, deadline - self._clock.monotonic()))

    def health(self) -> dict[str, Health]:
        """How each source fares, by its trigger."""
        return {watched.source.trigger: watched.health for watched in self._watched}

    def close(self, *, wait: float = 5.0) -> None:
        """End the threads and give back what the sources hold.

        Args:
            wait: seconds to wait at most. A thread that hangs longer in a look ends with the process; what it was
                about to hand over is there for the next.
        """
        self._ended.set()
        deadline = self._clock.monotonic() + wait
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - self._clock.monotonic()))

    def _run(self, watched: list[WatchedSource]) -> None:
        """Take turns with the sources of one place until the end; each is closed by the thread that used it."""
        try:
            while not self._ended.is_set():
                for each in watched:
                    if each.due <= self._clock.monotonic() and not self._ended.is_set():
                        each.turn()
                self._ended.wait(max(0.0, min(each.due for each in watched) - self._clock.monotonic()))
        finally:
            for each in watched:
                try:
                    each.source.close()
                except Exception as error:  # noqa: BLE001 - the others have to be closed, too
                    _log.warning("trigger %s could not be closed: %s", each.source.trigger, printable(str(error)))
