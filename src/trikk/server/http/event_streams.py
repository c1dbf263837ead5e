"""A run's events as server-sent events: one look at the journal for all readers of a run.

Readers of one run share what was read for them. Each is at some event's number; one that is behind (it came later,
or takes slowly) reads from the journal itself until it has caught up. Nothing is kept for a reader: its connection
takes the next part when the last one is sent, and is cut off if it never does (`trikk.web.connections`).

Pages in browsers hear that something has changed, and nothing else: they ask for themselves anew.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from trikk.core.errors import TrikkError
from trikk.execution.project import Project
from trikk.runs.journals.journal import Event
from trikk.runs.states import OVER
from trikk.server.http.json_answers import encoded

_log = logging.getLogger("trikk.server")
_LOOK, _SHARE = 0.2, 20.0  # seconds between looks, or so many times what the last one took
_BEAT = 15.0  # seconds after which a comment tells reader and proxies that the stream is alive
_AFTER_TROUBLE = 2.0  # seconds to the next look if the journal can't be read
_CHANGED = b"event: changed\ndata: {}\n\n"
_KEPT = 64  # parts that readers of one run may be behind before they read for themselves
_PART = 200  # events in a part
_THREADS = 3
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Feed:
    """What was seen of one run, for all its readers."""

    last: int = 0  # the number of its last event; 0 before the first look
    over: str = ""  # the run's state, if it is over
    parts: deque[tuple[int, int, bytes]] = field(default_factory=lambda: deque(maxlen=_KEPT))  # after, last, text
    news: asyncio.Event = field(default_factory=asyncio.Event)
    readers: int = 0

    def tell(self) -> None:
        """Have all readers look."""
        self.news.set()
        self.news = asyncio.Event()


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a look has seen of one run."""

    last: int
    over: str
    events: list[Event]  # those after the last look, at most a part of them


class EventStreams:
    """The streams of one server; its coroutines belong to one event loop.

    Args:
        project: whose runs.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._feeds: dict[str, _Feed] = {}
        self._project_feed = _Feed()
        self._position = (0, 0)  # of the journal, when the project was last looked at
        self._threads = ThreadPoolExecutor(_THREADS, "event-streams")
        self._looker: asyncio.Task[None] | None = None
        self._ending = False
        self.looks = 0  # at single runs, since the start

    @property
    def readers(self) -> int:
        """How many streams are open."""
        return sum(feed.readers for feed in (self._project_feed, *self._feeds.values()))

    def goes_on(self, run: str, after: int) -> bool:
        """Whether there is or will be something to tell after that event; UnknownName if there is no such run."""
        journal = self._project.journal
        return journal.row(run).state not in OVER or journal.last_seq(run) > after

    async def of(self, run: str, after: int) -> AsyncIterator[bytes]:
        """The text of a stream: the run's events after that one, until it is over, or this server ends."""
        feed = self._feeds.setdefault(run, _Feed())
        feed.readers += 1
        if self._looker is None:
            self._looker = asyncio.create_task(self._look_on())
        try:
            yield b"retry: 1000\n\n"  # milliseconds until a browser comes back; its own pause is longer
            while not self._ending:
                news = feed.news  # taken before looking, so that nothing comes in between
                part = next((part for part in feed.parts if part[0] == after), None)
                if part is not None:
                    after = part[1]
                    yield part[2]
                elif after < feed.last:
                    events = await self._in_thread(self._events, run, after)
                    after = events[-1].seq if events else feed.last
                    yield _text(events)
                elif feed.over:
                    yield b"event: end\ndata: " + encoded({"state": feed.over}) + b"\n\n"
                    return
                else:
                    yield await _beat_or(news)
        except TrikkError as error:
            _log.warning("a stream of run %s ends: %s", run, error)
        finally:
            feed.readers -= 1
            if not feed.readers:
                self._feeds.pop(run, None)

    async def changes_of(self, run: str) -> AsyncIterator[bytes]:
        """The text of a stream that says that a run has changed, and "end" once it is over, or the server ends."""
        after = await self._in_thread(self._project.journal.last_seq, run)
        async for part in self.of(run, after):
            yield _CHANGED if part.startswith(b"id:") else part

    async def project_changes(self) -> AsyncIterator[bytes]:
        """The text of a stream that says that anything has changed, until the reader goes or the server ends."""
        feed = self._project_feed
        feed.readers += 1
        if self._looker is None:
            self._looker = asyncio.create_task(self._look_on())
        try:
            yield b"retry: 1000\n\n"
            seen = feed.last
            while not self._ending:
                news = feed.news
                if feed.last == seen:
                    yield await _beat_or(news)
                else:
                    seen = feed.last
                    yield _CHANGED
        finally:
            feed.readers -= 1

    def end(self) -> None:
        """End all streams: their readers go on at the next server, with the number of their last event."""
        self._ending = True
        for feed in (self._project_feed, *self._feeds.values()):
            feed.tell()
        if self._looker is not None:
            self._looker.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _look_on(self) -> None:
        """Look at the runs that have readers, for ever; while there are none, it costs next to nothing."""
        while True:
            began = time.monotonic()
            known = {run: feed.last for run, feed in self._feeds.items()}
            pause = 0.0
            try:
                seen = await self._in_thread(self._look, known) if known else {}
                if self._project_feed.readers:
                    await self._look_at_project()
            except Exception as error:  # noqa: BLE001 - whatever it is: with no looks, all streams would hang
                _log.warning("events can't be read, and streams wait: %s", error)
                seen, pause = {}, _AFTER_TROUBLE
            for run, one in seen.items():
                if (feed := self._feeds.get(run)) is not None:
                    _take_in(feed, one)
            await asyncio.sleep(max(_LOOK, pause, _SHARE * (time.monotonic() - began)))

    async def _look_at_project(self) -> None:
        position = await self._in_thread(self._project.journal.position)
        if position != self._position:
            self._position = position
            self._project_feed.last += 1
            self._project_feed.tell()

    def _look(self, known: dict[str, int]) -> dict[str, _Seen]:
        """What has changed of these runs since the event that is known."""
        seen = {}
        journal = self._project.journal
        for run, before in known.items():
            self.looks += 1
            last = journal.last_seq(run)
            if last == before:
                continue
            events = self._events(run, before) if before else []
            state = journal.row(run).state
            # A run that is resumed just now has events after the end that its row told of.
            is_over = state in OVER and journal.last_seq(run) == last
            seen[run] = _Seen(last, state if is_over else "", events)
        return seen

    def _events(self, run: str, after: int) -> list[Event]:
        return self._project.journal.events(run, after=after, limit=_PART)

    async def _in_thread(self, work: Callable[..., T], *given: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *given)


def _take_in(feed: _Feed, seen: _Seen) -> None:
    if seen.events:
        last = seen.events[-1].seq
        feed.parts.append((feed.last, last, _text(seen.events)))
        # More than a part: the next look reads on from its end, and the run is over only with its last event.
        feed.last, feed.over = last, seen.over if last >= seen.last else ""
    else:
        feed.last, feed.over = seen.last, seen.over
    feed.tell()


async def _beat_or(news: asyncio.Event) -> bytes:
    """Wait for news: nothing then, and a comment if there are none for long."""
    try:
        await asyncio.wait_for(news.wait(), _BEAT)
    except TimeoutError:
        return b": nothing new\n\n"
    return b""


def _text(events: Iterable[Event]) -> bytes:
    """Events as the stream has them; JSON has no line ends of its own, and kinds are printable."""
    return b"".join(
        b"id: %d\nevent: %s\ndata: %s\n\n"
        % (e.seq, e.kind.encode(), encoded({"seq": e.seq, "kind": e.kind, "at": e.at, "body": e.body}))
        for e in events
    )
