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
from trikk.runs.journal import Event, RunRow, damaged, dump, load
from trikk.runs.lease import Holder, Lease
from trikk.runs.projection import fold

Row = tuple[Any, ...]


def columns(row: RunRow) -> dict[str, Any]:
    """A run's row as the columns of `runs`; the error, which may have any characters, as JSON."""
    return {
        "id": row.id,
        "pipeline": row.pipeline,
        "state": row.state,
        "created": row.created,
        "started": row.started,
        "ended": row.ended,
        "parameters": dump(row.parameters),
        "origin": dump(row.origin),
        "error": None if row.error is None else json.dumps(row.error),
        "forgotten": int(row.forgotten),
    }


def rows(found: Sequence[Row]) -> list[RunRow]:
    """Rows of `runs`; JournalError if one is damaged."""
    # One call of the parser for a whole column: a call for each row takes three times as long.
    parameters = _documents(row[6] for row in found)
    origins = _documents(row[7] for row in found)
    made = []
    for row, given, origin in zip(found, parameters, origins, strict=True):
        run, pipeline, state, created, started, ended, _, _, error, forgotten = row
        text = None if error is None else json.loads(error)
        made.append(RunRow(run, pipeline, state, created, started, ended, given, origin, text, bool(forgotten)))
    return made


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


def events(run: str, found: Iterable[Row]) -> list[Event]:
    """Rows (seq, kind, at, body) of one run; JournalError if one is damaged."""
    return [Event(seq, run, kind, at, load(body)) for seq, kind, at, body in found]


def lease(run: str, found: Sequence[Row]) -> tuple[int, Lease | None]:
    """The epoch that was reached, and the lease unless it was released."""
    if not found:
        return 0, None
    epoch, host, boot, pid, started, expires, since = found[0]
    if host is None:
        return epoch, None
    return epoch, Lease(run, epoch, Holder(host, boot, pid, started), expires, since)


def body(found: Sequence[Row]) -> dict[str, JSON] | None:
    """The body of the only row, if there is one."""
    return load(found[0][0]) if found else None


def compare(every_event: Iterable[Row], every_run: Iterable[Row]) -> Iterator[str]:
    """Sentences on runs whose row is not the fold of their events.

    The events' rows are (run, seq, kind, at, body), ordered by run and seq.
    """
    left = {row[0]: row for row in every_run}
    for run, group in groupby(every_event, key=itemgetter(0)):
        stored = left.pop(run, None)
        if stored is None:
            yield f"run {run} has events and no row"
            continue
        try:
            folded = fold(events(run, (row[1:] for row in group)))
            same = folded == rows([stored])[0]
        except JournalError:
            yield f"run {run} has a record that is not JSON"
            continue
        if folded is None:
            yield f"run {run} does not begin with run.created"
        elif not same:
            yield f"run {run}: its row is not what its events give"
    for run in left:
        yield f"run {run} has a row and no events"


def _documents(texts: Iterable[str]) -> list[dict[str, JSON]]:
    try:
        found = json.loads("[" + ",".join(texts) + "]")
    except (ValueError, TypeError, RecursionError):
        raise damaged() from None
    return list(found)
