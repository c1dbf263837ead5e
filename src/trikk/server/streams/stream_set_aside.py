"""The messages of a stream that could not become rows: kept with their reason, tried again or dropped on request.

They are entries of the ledger, as are those of triggers' messages. What was tried again with success, or dropped,
is an entry of its own, so that nothing is ever removed.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Any

from trikk.core.errors import UsageError
from trikk.execution.project import Project
from trikk.runs.journals.ledger import Entry, Ledger
from trikk.server.sources.source_memory import Memory
from trikk.storage.positions import Advance
from trikk.storage.tables.versioned_tables import Write
from trikk.streams.stream_declaration import Stream

if TYPE_CHECKING:
    from trikk.server.streams.stream_reader import SetAside

_AT_ONCE = 100  # messages that are read together
KEPT = 256_000
"""Bytes of a message that are kept; a longer one is kept in part, and can't be tried again."""


class Settled(StrEnum):
    """What became of messages that were set aside."""

    RETRIED = "stream.retried"
    DROPPED = "stream.dropped"


def memory_of(ledger: Ledger, stream: str) -> Memory:
    """What is remembered of a stream: who reads it, and what was set aside."""
    return Memory(ledger, f"stream/{stream}", "")


def keep(memory: Memory, message: SetAside, at: float) -> None:
    """Set a message aside; once, however often."""
    about: dict[str, Any] = dict(message.about)
    if message.payload is not None:
        about["bytes"] = len(message.payload)
        about["payload"] = base64.b64encode(message.payload[:KEPT]).decode()
    memory.set_aside(message.identity, message.why, about, at)


def waiting(ledger: Ledger, stream: str) -> list[Entry]:
    """The messages that are set aside, neither tried again with success nor dropped; the oldest first."""
    subject = memory_of(ledger, stream).subject
    settlements = ledger.entries(f"{subject}/settled")
    settled = {seq for entry in settlements for seq in _seqs(entry)}
    before = max((int(str(entry.body.get("all_before", 0))) for entry in settlements), default=0)
    entries = ledger.entries(
        f"{subject}/set-aside", after=max(0, before - 1)
    )  # they have their messages with them
    return [entry for entry in entries if entry.seq not in settled]


class SetAsideMemory:
    """Which messages of streams are set aside, in memory: each look reads what is new. Threads may share it.

    Args:
        ledger: the project's.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._streams: dict[str, _Known] = {}
        self._lock = threading.Lock()

    def count(self, stream: str) -> int:
        """How many messages of a stream wait."""
        with self._lock:
            return len(self._look(stream).waiting)

    def oldest(self, stream: str, most: int) -> list[Entry]:
        """The messages that wait, the oldest first, at most so many."""
        with self._lock:
            seqs = list(islice(self._look(stream).waiting, most))
        subject = f"{memory_of(self._ledger, stream).subject}/set-aside"
        wanted, after, oldest = set(seqs), (seqs[0] - 1 if seqs else 0), list[Entry]()
        while len(oldest) < len(seqs):
            part = self._ledger.history(subject, after=after, limit=_AT_ONCE)
            oldest += [entry for entry in part if entry.seq in wanted]  # what lies between was settled
            if len(part) < _AT_ONCE:
                break
            after = part[-1].seq
        return oldest

    def _look(self, stream: str) -> _Known:
        known = self._streams.setdefault(stream, _Known())
        subject = memory_of(self._ledger, stream).subject
        # What was settled first: it is of messages that were set aside before.
        settlements = self._ledger.entries(f"{subject}/settled", after=known.settlement)
        for entry in self._ledger.entries(f"{subject}/set-aside", after=known.message):
            known.message = entry.seq
            known.waiting[entry.seq] = None
        for entry in settlements:
            known.settlement = entry.seq
            before, gone = int(str(entry.body.get("all_before", 0))), set(_seqs(entry))
            known.waiting = {seq: None for seq in known.waiting if seq >= before and seq not in gone}
        return known


@dataclass(slots=True)
class _Known:
    """What is known of one stream: the last entries that were read, and the messages that wait, in order."""

    message: int = 0
    settlement: int = 0
    waiting: dict[int, None] = field(default_factory=dict)


def last_settled(ledger: Ledger, stream: str) -> int:
    """The number of the last entry on what was tried again or dropped; 0 if nothing ever was. One indexed look."""
    entry = ledger.last(f"{memory_of(ledger, stream).subject}/settled")
    return 0 if entry is None else entry.seq


def retry(project: Project, stream: Stream, *, by: str, at: float) -> tuple[int, list[Entry]]:
    """Read the messages again that are set aside, and bring those into the table that fit now.

    Each has a mark in the table's commit, so that it is there once, whoever tries how often and is killed when.

    Args:
        project: the project.
        stream: as it is declared now.
        by: who asks.
        at: wall time in seconds since 1970.

    Returns:
        How many are in the table now, and those that still do not fit.

    Raises:
        TrikkError: if the table can't be written; nothing is lost.
    """
    from trikk.server.streams.stream_columns import Columns  # here: it brings polars, which a server does without

    ledger, tables = project.journal, project.tables
    entries = waiting(ledger, stream.name)
    payloads = {entry.seq: payload for entry in entries if (payload := _payload(entry)) is not None}
    marks = {seq: f"stream/{stream.name}/set-aside/{seq}" for seq in payloads}
    known = tables.positions(stream.table, list(marks.values()))
    done = {seq for seq, mark in marks.items() if known[mark] is not None}
    tried = [entry for entry in entries if entry.seq in payloads and entry.seq not in done]
    topics = [str(entry.body.get("topic", "")) for entry in tried]
    read = Columns(stream, tables).read([payloads[entry.seq] for entry in tried], topics)
    unfit = {place for place, _ in read.misfits}
    fitting = [entry.seq for place, entry in enumerate(tried) if place not in unfit]
    if fitting:
        write = Write(
            "append", read.rows, stream.key, "merge", tuple(Advance(marks[seq], None, 1) for seq in fitting)
        )
        tables.write(stream.table, write, identity="", origin={"stream": stream.name, "by": by})
    brought = [*done, *fitting]
    _settle(ledger, stream.name, Settled.RETRIED, entries, brought, by, "", at)
    return len(brought), [entry for entry in entries if entry.seq not in set(brought)]


def drop(ledger: Ledger, stream: str, *, by: str, why: str, at: float) -> int:
    """Say that the messages which are set aside are not wanted; how many they were.

    Raises:
        UsageError: if no reason is given.
    """
    if not why:
        raise UsageError("messages are not dropped without a reason", next='say it: --why "..."')
    entries = waiting(ledger, stream)
    seqs = [entry.seq for entry in entries]
    _settle(ledger, stream, Settled.DROPPED, entries, seqs, by, why, at)
    return len(seqs)


def _settle(
    ledger: Ledger,
    stream: str,
    kind: Settled,
    entries: Sequence[Entry],
    seqs: Sequence[int],
    by: str,
    why: str,
    at: float,
) -> None:
    """Write down what became of some of the messages that wait; and before which entry none does any more."""
    if seqs:
        settled = set(seqs)
        left = (entry.seq for entry in entries if entry.seq not in settled)
        all_before = next(left, entries[-1].seq + 1)
        body: dict[str, Any] = {"seqs": list(seqs), "by": by, "why": why, "all_before": all_before}
        ledger.add(f"{memory_of(ledger, stream).subject}/settled", kind, body, at=at)


def _seqs(entry: Entry) -> Iterator[int]:
    seqs: Any = entry.body["seqs"]
    return iter(seqs)


def _payload(entry: Entry) -> bytes | None:
    """The message, if all of it is kept."""
    text: Any = entry.body.get("payload")
    payload = None if text is None else base64.b64decode(text)
    return payload if payload is not None and len(payload) == entry.body.get("bytes") else None
