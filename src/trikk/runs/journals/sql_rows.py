"""What rows of the database mean: between columns and the port's own types."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from typing import Any

from trikk.core.errors import JournalError
from trikk.core.values import JSON
from trikk.runs.events import EventKind
from trikk.runs.journals.journal import Event, RunRow, damaged, dump, load
from trikk.runs.journals.lease import Holder, Lease
from trikk.runs.journals.projection import fold
from trikk.runs.journals.server_beats import Server
from trikk.runs.states import RunStatus

Row = tuple[Any, ...]
_STATUSES = {str(status): status for status in RunStatus}  # ten times as quick as RunStatus(text)


def columns(row: RunRow) -> dict[str, Any]:
    """A run's row as the columns of `runs`; the error, which may have any characters, as JSON."""
    return {
        "id": row.id,
        "pipeline": row.pipeline,
        "state": str(row.state),
        "created": row.created,
        "started": row.started,
        "ended": row.ended,
        "parameters": dump(row.parameters),
        "origin": dump(row.origin),
        "error": None if row.error is None else json.dumps(row.error),
        "forgotten": int(row.forgotten),
    }


def rows(stored: Sequence[Row]) -> list[RunRow]:
    """Rows of `runs`; JournalError if one is damaged."""
    # One call of the parser for a whole column: a call for each row takes three times as long.
    parameters = _documents(row[6] for row in stored)
    origins = _documents(row[7] for row in stored)
    lines = []
    for row, given, origin in zip(stored, parameters, origins, strict=True):
        run, pipeline, state, created, started, ended_at, _, _, error, forgotten = row
        text = None if error is None else json.loads(error)
        status = _STATUSES.get(state)
        if status is None:
            raise damaged()
        lines.append(
            RunRow(run, pipeline, status, created, started, ended_at, given, origin, text, bool(forgotten))
        )
    return lines


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the garbage collector from walking a long list again and again while it grows: a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def events(run: str, stored: Iterable[Row]) -> list[Event]:
    """Rows (seq, kind, at, body) of one run; JournalError if one is damaged."""
    return [Event(seq, run, kind, at, load(body)) for seq, kind, at, body in stored]


def lease(run: str, stored: Sequence[Row]) -> tuple[int, Lease | None]:
    """The epoch that was reached, and the lease unless it was released."""
    if not stored:
        return 0, None
    epoch, host, boot, pid, started, expires, since = stored[0]
    if host is None:
        return epoch, None
    return epoch, Lease(run, epoch, Holder(host, boot, pid, started), expires, since)


def server_columns(server: Server) -> dict[str, Any]:
    """A server as the columns of `servers`."""
    holder = server.holder
    process = {"host": holder.host, "boot": holder.boot, "pid": holder.pid, "started": holder.started}
    times = {"since": server.since, "at": server.at, "gone": server.left}
    return {"id": server.id, "release": server.release, "body": dump(server.says), **process, **times}


def server(row: Row) -> Server:
    """The server of a row of `servers`; JournalError if it is damaged."""
    name, host, boot, pid, started, release, since, at, gone, said = row
    holder = Holder(host, boot, pid, started)
    return Server(id=name, holder=holder, release=release, since=since, at=at, left=gone, says=load(said))


def body(stored: Sequence[Row]) -> dict[str, JSON] | None:
    """The body of the only row, if there is one."""
    return load(stored[0][0]) if stored else None


def link(before: str | None, of: str, kind: str, at: float, body: str, identity: str | None = None) -> str:
    """The checksum of a run's event or a subject's entry, which holds for all before it as well.

    Args:
        before: the checksum of the one before; None for the first.
        of: the run or the subject.
        kind: as stored, as are `at`, `body` and `identity`.
        at: wall time in seconds since 1970.
        body: JSON in ASCII.
        identity: of an entry that has one.
    """
    from hashlib import blake2b  # late: OpenSSL costs 2 ms, and commands that list runs need no checksum

    # No part has a NUL in it, so that no two lists of parts give the same text.
    text = "\0".join((before or "", of, kind, repr(float(at)), body, identity or ""))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def links(stored: Iterable[Row]) -> Iterator[tuple[Row, str, str]]:
    """Rows (of, seq, kind, at, body[, identity], chain), in order, each with the checksum it has and should have.

    Rows without a checksum are left out, as they are of the chain: a process of an earlier version wrote them that
    had the journal open while it was brought up to this one. One that has lost its checksum breaks the chain.

    Raises TypeError or ValueError where a damaged row has another kind of value than a column can have.
    """
    for of, group in groupby(stored, key=itemgetter(0)):
        before = None
        for row in group:
            if row[-1] is not None:
                before = link(before, of, row[2], row[3], *row[4:-1])
                yield row, row[-1], before


def compare(every_event: Iterable[Row], every_run: Iterable[Row]) -> Iterator[str]:
    """Sentences on runs whose events are not those that were written, or whose row is not their fold.

    The events' rows are (run, seq, kind, at, body, chain), ordered by run and seq; those of runs have their last
    checksum and their number at the end.
    """
    left = {row[0]: row for row in every_run}
    for run, group in groupby(every_event, key=itemgetter(0)):
        stored = left.pop(run, None)
        if stored is None:
            yield f"run {run} has events and no row"
            continue
        try:
            if sentence := _broken(run, list(group), stored):
                yield sentence
        except (JournalError, TypeError, ValueError):
            yield f"run {run} has a record that is damaged"
    for run in left:
        yield f"run {run} has a row and no events"


def broken_chain(run: str, group: Sequence[Row]) -> str | None:
    """What is wrong with all events of a run, as far as their checksums say it; rows as those of `links`."""
    try:
        for row, has, should in links(group):
            if has != should:
                return f"run {run}: event {row[1]} ({row[2]}), or one before it, is not what was written"
    except (TypeError, ValueError):
        return f"run {run} has a record that is damaged"
    return None


def _broken(run: str, group: Sequence[Row], stored: Row) -> str | None:
    if sentence := broken_chain(run, group):
        return sentence
    if _last(group) != stored[10] and not _is_forgotten_unchained(group[-1]):
        return f"run {run}: its last events are missing"
    folded = fold(events(run, (row[1:-1] for row in group)))
    if folded is None:
        return f"run {run} does not begin with run.created"
    if folded != rows([stored[:10]])[0] or stored[11] != group[0][1]:
        return f"run {run}: its row is not what its events give"
    return None


def _last(group: Sequence[Row]) -> str | None:
    """The last checksum of a run's events or a subject's entries."""
    return next((row[-1] for row in reversed(group) if row[-1] is not None), None)


def _is_forgotten_unchained(row: Row) -> bool:
    """Whether an earlier version has forgotten a run, and dropped the event whose checksum its row has."""
    return row[2] == EventKind.RUN_FORGOTTEN and row[-1] is None


def compare_entries(every_entry: Iterable[Row], heads: dict[str, str]) -> Iterator[str]:
    """Sentences on subjects of the ledger whose entries are not those that were written.

    The rows are (subject, seq, kind, at, body, identity, chain), ordered by subject and seq; `heads` are the last
    checksums.
    """
    left = dict(heads)
    for subject, entries in groupby(every_entry, key=itemgetter(0)):
        head, group = left.pop(subject, None), list(entries)
        try:
            for row, has, should in links(group):
                if has != should:
                    yield f"{subject}: entry {row[1]} ({row[2]}), or one before it, is not what was written"
                    break
            else:
                if _last(group) != head:
                    yield f"{subject}: its last entries are missing"
        except (TypeError, ValueError):
            yield f"{subject} has an entry that is damaged"
    for subject in left:
        yield f"{subject}: its entries are missing"


def _documents(texts: Iterable[str]) -> list[dict[str, JSON]]:
    try:
        documents = json.loads("[" + ",".join(texts) + "]")
    except (ValueError, TypeError, RecursionError):
        raise damaged() from None
    return list(documents)
