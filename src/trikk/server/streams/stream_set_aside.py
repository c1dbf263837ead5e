"""The messages of a stream that could not become rows: kept with their reason, tried again or dropped on request.

They are entries of the ledger, as are those of triggers' messages. What was tried again with success, or dropped,
is an entry of its own, so that nothing is ever removed.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from enum import StrEnum
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
