"""What is shown of streams, by commands and over HTTP alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from trikk.core.clock import iso
from trikk.core.errors import TrikkError, UnknownName
from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.execution.project import Project
from trikk.runs.living_servers import living
from trikk.server.streams.stream_set_aside import SetAsideMemory
from trikk.streams.stream_declaration import Stream
from trikk.streams.stream_state import SAYS, StreamState, StreamStatus

_SHOWN = 1000  # messages that are set aside
_SUBJECTS = "source/stream/"
_ABOUT = ("topic", "partition", "offset", "path", "bytes")


class StreamRow(Record, frozen=True):
    """One line of `trikk streams`.

    Attributes:
        name: the stream's name.
        source: what it reads, as it is declared; "" for one that is no longer declared.
        table: where its rows go.
        state: what the servers do about it.
        rows: brought into the table so far, with those whose key was there.
        lag_messages: messages that wait, as far as they are known.
        lag_seconds: for how long the oldest of them waits.
        rate: rows a second, over the last minute.
        last: when the last batch was stored, ISO in UTC; None before the first.
        reader: the server that reads it, and its machine; "" if none does.
        set_aside: messages that are set aside.
        what: what is wrong; "" if nothing is.
        next: what to do about it.
        since: since when, ISO in UTC.
    """

    name: str
    source: str
    table: str
    state: StreamState
    rows: int = 0
    lag_messages: int = 0
    lag_seconds: float = 0.0
    rate: float = 0.0
    last: str | None = None
    reader: str = ""
    set_aside: int = 0
    what: str = ""
    next: str = ""
    since: str = ""


def stream_rows(
    project: Project, declared: Mapping[str, Stream], now: float, aside: SetAsideMemory | None = None
) -> list[StreamRow]:
    """A line for each stream that is declared, then for those that were.

    Args:
        project: the project.
        declared: its streams by name.
        now: wall time in seconds since 1970.
        aside: what is known of messages that are set aside; it is read if not given.
    """
    aside = aside or SetAsideMemory(project.journal)
    said = _said(project, now)
    names = [*declared, *(name for name in project.journal.children(_SUBJECTS) if name not in declared)]
    return [_row(project, name, declared.get(name), said.get(name), aside.count(name), now) for name in names]


def streams_document(
    project: Project, declared: Mapping[str, Stream], now: float, aside: SetAsideMemory | None = None
) -> dict[str, JSON]:
    """The list of streams, as commands print it and requests get it; arguments as of `stream_rows`."""
    return {"streams": [row.to_json() for row in stream_rows(project, declared, now, aside)]}


def settled_document(stream: str, settled: int, left: int) -> dict[str, JSON]:
    """How many messages were tried again with success, or dropped, and how many are left."""
    return {"stream": stream, "settled": settled, "left": left}


def stream_details(
    project: Project, declared: Mapping[str, Stream], name: str, now: float, aside: SetAsideMemory | None = None
) -> dict[str, JSON]:
    """One stream: its line, its declaration, and the messages that are set aside, the oldest thousand.

    Raises:
        UnknownName: if there never was such a stream.
    """
    aside = aside or SetAsideMemory(project.journal)
    rows = {row.name: row for row in stream_rows(project, declared, now, aside)}
    if name not in rows:
        raise UnknownName("stream", name, rows)
    messages: list[JSON] = [
        {
            "at": iso(entry.at),
            "message": entry.identity,
            "why": entry.body["why"],
            **{key: entry.body[key] for key in _ABOUT if key in entry.body},
        }
        for entry in aside.oldest(name, _SHOWN)
    ]
    stream: JSON = msgspec.to_builtins(declared[name]) if name in declared else None
    return {**rows[name].to_json(), "declaration": stream, "messages": messages}


def _said(project: Project, now: float) -> dict[str, tuple[str, StreamStatus]]:
    """What living servers say of streams, and which of them."""
    said = {}
    for server in living(project.journal.servers(), now):
        for about, says in server.says.items():
            if about.startswith(SAYS):
                status = StreamStatus.read(says)
                said[status.stream] = (f"server {server.id} on {server.holder.host}", status)
    return said


def _row(
    project: Project,
    name: str,
    stream: Stream | None,
    said: tuple[str, StreamStatus] | None,
    aside: int,
    now: float,
) -> StreamRow:
    source, table = (stream.source, stream.table) if stream is not None else ("", "")
    if said is None:
        state = StreamState.NOBODY if stream is not None else StreamState.REMOVED
        rows, last = _stored(project, stream)
        return StreamRow(name, source, table, state, rows, last=last, set_aside=aside)
    reader, status = said
    return StreamRow(
        name,
        source,
        table,
        status.state,
        status.rows,
        status.lag_messages,
        round(status.lag_seconds(now), 1),
        status.rate,
        None if status.last is None else iso(status.last),
        reader,
        aside,
        status.what,
        status.next,
        status.since,
    )


def _stored(project: Project, stream: Stream | None) -> tuple[int, str | None]:
    """How many rows the table has of a stream that nobody reads, and since when."""
    if stream is None:
        return 0, None
    rows, at = (f"stream/{stream.name}/{mark}" for mark in ("rows", "at"))
    try:
        marks = project.tables.positions(stream.table, [rows, at])
    except TrikkError:  # a table that is damaged is told of elsewhere
        return 0, None
    last: Any = marks[at]
    return marks[rows] or 0, None if last is None else iso(last / 1000)
