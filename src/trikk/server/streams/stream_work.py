"""One stream at work: rows are gathered for a second, stored in one commit with how far that was, and settled.

One thread reads and stores in turn, so that what is not stored is not read: while a table is slow, messages wait
at the broker. Whatever goes wrong, the batch is forgotten, and the reader begins anew where the table is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from trikk.core.clock import Clock, iso
from trikk.core.errors import TrikkError
from trikk.core.text import printable, shorten
from trikk.runs.back_off import BackOff
from trikk.runs.journals.journal import Journal
from trikk.server.sources.one_reader import OneReader
from trikk.server.streams.stream_columns import Columns
from trikk.server.streams.stream_reader import Lag, SetAside, StreamReader
from trikk.server.streams.stream_set_aside import keep, last_settled, memory_of, waiting
from trikk.storage.positions import Advance
from trikk.storage.tables.versioned_tables import Tables, Write
from trikk.streams.stream_declaration import Stream
from trikk.streams.stream_state import StreamState, StreamStatus

_BACK_OFF = BackOff(first=1.0, longest=30.0)
_BYTES = 32_000_000  # of a batch's messages; their rows take some times as much
_WAIT = 0.5  # seconds that one look waits for a first message
_NOT_MINE = 2.0  # seconds until it is looked again whether the server that reads is gone
_SHARE = 10  # a commit that takes a second is followed by ten without: a slow table gets fewer, larger ones
_RATE_OVER = 60.0  # seconds


class Stopped(TrikkError):
    """A stream stops, since too many of its messages can't become rows."""


class StreamWork:
    """One stream's reading, by one thread.

    Args:
        stream: as it is declared.
        open_reader: makes its reader.
        tables: the project's.
        journal: who reads, which servers live, what is set aside.
        clock: time.
        ended: whether to come to an end.

    Attributes:
        status: how it is; read by other threads, and only ever replaced as a whole.
    """

    def __init__(
        self,
        stream: Stream,
        open_reader: Callable[[], StreamReader],
        tables: Tables,
        journal: Journal,
        clock: Clock,
        ended: Callable[[], bool],
    ) -> None:
        self.stream = stream
        self.status = StreamStatus(stream=stream.name, began=clock.now())
        self._open_reader = open_reader
        self._tables = tables
        self._journal = journal
        self._clock = clock
        self._ended = ended
        self._memory = memory_of(journal, stream.name)
        self._claim = OneReader(self._memory, journal, clock)
        self._reader: StreamReader | None = None
        self._columns: Columns | None = None
        self._marks: dict[str, int | None] = {}
        self._aside: set[str | None] = set()  # identities of what is set aside
        self._settled = 0  # the last entry on what became of some of it that was taken in
        self._recent: deque[tuple[float, int]] = deque()  # when rows were stored, and how many
        self._next_commit = 0.0
        self._failures = 0

    def turn(self) -> float:
        """Store what comes within one batch; seconds until the next turn."""
        try:
            if not self._claim.take():
                self._close_reader()
                self._tell(state=StreamState.ELSEWHERE)
                return _NOT_MINE
            if self._reader is None:
                self._begin()
            elif last_settled(self._journal, self.stream.name) != self._settled:
                self._look_aside()
            messages = self._gathered()
            if messages:
                self._store(messages)
            self._failures = 0
            self._tell(state=StreamState.READS, what="", next="", since="")
        except Exception as error:  # noqa: BLE001 - or a library's, of which there is no list: the thread must go on
            return self._fail(error)
        return 0.0

    def close(self) -> None:
        """Let the next server have it; what is not stored comes again."""
        self._close_reader()
        self._claim.give_back()

    # ---- reading

    def _begin(self) -> None:
        stream = self.stream
        self._columns = Columns(stream, self._tables)
        self._marks = self._tables.positions(stream.table, [self._mark(name) for name in ("rows", "at")])
        self._look_aside()
        reader = self._open_reader()
        self._reader = reader
        gone = reader.begin(lambda sources: self._tables.positions(stream.table, sources))
        self._set_aside(gone)
        self._tell()

    def _look_aside(self) -> None:
        """See what is set aside, since somebody may have had it tried again, or dropped it."""
        self._settled = last_settled(self._journal, self.stream.name)
        self._aside = {entry.identity for entry in waiting(self._journal, self.stream.name)}

    def _gathered(self) -> list[Any]:
        """The messages of one batch; none if none came for a while, or it is to end."""
        assert self._reader is not None
        reader, limit = self._reader, self.stream.rows
        messages: list[Any] = [*reader.read(limit, _WAIT)]
        if not messages:
            return messages
        size = sum(map(reader.size, messages))
        until = max(self._clock.monotonic() + self.stream.every, self._next_commit)
        while len(messages) < limit and size < _BYTES and not reader.stalled:
            left = until - self._clock.monotonic()
            if left <= 0:
                break
            if self._ended():
                return []
            more = reader.read(limit - len(messages), min(left, _WAIT))
            size += sum(map(reader.size, more))
            messages += more
        return messages

    # ---- storing

    def _store(self, messages: Sequence[Any]) -> None:
        assert self._reader is not None
        assert self._columns is not None
        reader, stream = self._reader, self.stream
        began, now = self._clock.monotonic(), self._clock.now()
        read = reader.rows(messages, self._columns)
        if read.misfits and self._columns.is_old():
            self._columns = Columns(stream, self._tables)
            read = reader.rows(messages, self._columns)
        self._set_aside([reader.describe(messages[place])._replace(why=why) for place, why in read.misfits])
        if not read.rows.width:  # there is no table yet, and nothing of which it could be made
            if not reader.advances():
                reader.settle()
            return
        count = read.rows.height
        rows, at = self._mark("rows"), self._mark("at")
        moved = {rows: (self._marks[rows] or 0) + count, at: max((self._marks[at] or 0) + 1, int(now * 1000))}
        positions = [
            *reader.advances(),
            *(Advance(mark, self._marks[mark], after) for mark, after in moved.items()),
        ]
        write = Write("append", read.rows, stream.key, "merge", tuple(positions))
        committed = self._tables.write(stream.table, write, identity="", origin={"stream": stream.name})
        self._marks |= moved
        reader.settle()
        took = self._clock.monotonic() - began
        self._next_commit = self._clock.monotonic() + _SHARE * took
        self._recent.append((self._clock.monotonic(), count))
        left_out = count - (committed.inserted if committed.inserted is not None else count)
        status = self.status
        self._tell(batches=status.batches + 1, stored=status.stored + count, left_out=status.left_out + left_out)

    def _set_aside(self, messages: Sequence[SetAside]) -> None:
        """Keep what can't become rows, before the table moves on past it; too many stop the stream."""
        for message in messages:
            if message.identity in self._aside:
                continue
            if len(self._aside) >= self.stream.set_aside:
                raise Stopped(
                    f"{len(self._aside):,} messages are set aside, so it stops before the next: {message.why}",
                    where=f"stream {self.stream.name}",
                    next=f"see which: trikk streams {self.stream.name} --set-aside; mend the stream or its "
                    "sender, then `trikk streams retry` or `drop` them; the others wait where they come from",
                )
            keep(self._memory, message, self._clock.now())
            self._aside.add(message.identity)
            self._tell(last_set_aside=shorten(printable(f"{message.identity}: {message.why}"), 500))

    def _mark(self, name: str) -> str:
        return f"stream/{self.stream.name}/{name}"

    # ---- how it is

    def _fail(self, error: Exception) -> float:
        """Forget the batch, and say what is wrong; seconds until the next attempt."""
        self._failures += 1
        what = error.what if isinstance(error, TrikkError) else f"{type(error).__name__}: {error}"
        mend = (error.next or "") if isinstance(error, TrikkError) else ""
        since = self.status.since or iso(self._clock.now())
        state = StreamState.STOPPED if isinstance(error, Stopped) else StreamState.FAILS
        try:
            self._close_reader()
        except Exception as second:  # noqa: BLE001 - what was wrong first says more
            what = f"{what} (and it could not be closed: {second})"
        self._tell(state=state, what=shorten(printable(what), 500), next=mend, since=since)
        return _BACK_OFF.pause(self._failures)

    def _close_reader(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def _tell(self, **news: Any) -> None:
        now = self._clock.monotonic()
        while self._recent and self._recent[0][0] < now - _RATE_OVER:
            self._recent.popleft()
        lag = Lag() if self._reader is None else self._reader.lag()
        at = self._marks.get(self._mark("at"))
        self.status = self.status.with_news(
            rows=self._marks.get(self._mark("rows")) or 0,
            last=None if at is None else at / 1000,
            rate=round(sum(count for _, count in self._recent) / _RATE_OVER, 1),
            lag_messages=lag.messages,
            waits_since=lag.since,
            set_aside=len(self._aside),
            **news,
        )
