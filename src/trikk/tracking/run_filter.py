"""Which of a project's runs are meant: by state, parameters, days, environment and code, a page of them at a time.

Lists are read from their newest end, and a look ends after so many rows, however rare the wanted ones are: a
project may have millions. Its cursor then leads on from there.
"""

from __future__ import annotations

import json
import shlex
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.runs.journals.journal import Journal, RunRow
from trikk.runs.run_state import RunState

_AT_ONCE = 200
_LOOKED, _LOOKED_INTO = 5000, 1000  # rows at most; and those whose events say more than their rows
_KEPT = 20_000  # runs whose origins are in memory
FIRST_EVENTS = 8
"""Of a run, among which is its lock, also of one that was cancelled and asked to go on before it had begun."""


class RunFilter(Record, frozen=True):
    """What is wanted; "" and None for anything.

    Attributes:
        pipeline: its name.
        state: what the run is at.
        parameters: words as a shell reads them, all of which must fit: `day=2020-03-26` a parameter's value, or a
            piece of any value.
        since: seconds since 1970, the first moment at which it may have been created.
        until: seconds since 1970, the moment before which it was created.
        environment: in which it was begun.
        code: how the digest of its code begins.
    """

    pipeline: str = ""
    state: str = ""
    parameters: str = ""
    since: float | None = None
    until: float | None = None
    environment: str = ""
    code: str = ""


class RunPlace(Record, frozen=True):
    """Where a run was begun, and by which code; "" where it has none yet, or its events are gone."""

    environment: str
    code: str


@dataclass(frozen=True, slots=True)
class FilteredRuns:
    """A page of runs.

    Attributes:
        rows: the newest first.
        next: the run behind which the next page begins; None if there are no more.
        is_cut: whether the look ended before the page was full, since so many others came between.
    """

    rows: list[RunRow]
    next: str | None
    is_cut: bool = False


def filtered_runs(journal: Journal, wanted: RunFilter, limit: int, before: str | None = None) -> FilteredRuns:
    """The newest runs that are wanted.

    Args:
        journal: the project's.
        wanted: which.
        limit: how many at most.
        before: those that were created before this run, by its id.

    Raises:
        UnknownName: if there is no run `before`.
    """
    words = _words(wanted.parameters)
    needs_events = bool(wanted.environment or wanted.code)
    only: dict[str, Any] = {"pipeline": wanted.pipeline or None, "state": wanted.state or None}
    offset = 0 if wanted.until is None or before is not None else count_since(journal, wanted.until, **only)
    rows: list[RunRow] = []
    looked = looked_into = 0
    while True:
        batch = journal.runs(**only, limit=_AT_ONCE, offset=offset, before=before)
        offset = 0
        for row in batch:
            if wanted.since is not None and row.created < wanted.since:
                return FilteredRuns(rows, None)
            if len(rows) == limit:
                return FilteredRuns(rows, before)
            if looked >= _LOOKED or looked_into >= _LOOKED_INTO:
                return FilteredRuns(rows, before, is_cut=True)
            before, looked = row.id, looked + 1
            if not _fits(row, words, wanted.until):
                continue
            if needs_events:
                looked_into += 1
                place = run_place(journal, row)
                if wanted.environment not in ("", place.environment) or not place.code.startswith(wanted.code):
                    continue
            rows.append(row)
        if len(batch) < _AT_ONCE:
            return FilteredRuns(rows, None)


def parameter_word(name: str, value: JSON) -> str:
    """What a filter's `parameters` has for runs with such a value."""
    return shlex.quote(f"{name}={_text(value)}")


def run_place(journal: Journal, row: RunRow) -> RunPlace:
    """Where a run was begun, and by which code."""
    known: Any = journal
    return _place(known, row.id, row.started is not None)


@lru_cache(maxsize=_KEPT)
def _place(journal: Journal, run: str, is_locked: bool) -> RunPlace:  # noqa: ARG001 - until then it has no code
    # A run has its environment from the beginning, and its lock when it starts; a resume may bring other code.
    state = RunState(run)
    for event in journal.events(run, limit=FIRST_EVENTS):
        state.apply(event)
        if "code" in state.lock:
            break
    return RunPlace(state.environment, str(state.lock.get("code") or ""))


def _fits(row: RunRow, words: list[str], until: float | None) -> bool:
    if until is not None and row.created >= until:
        return False
    values = {name: _text(value) for name, value in row.parameters.items()}
    for word in words:
        name, equals, value = word.partition("=")
        if equals and name in values:
            if values[name] != value:
                return False
        elif not any(word in text for text in values.values()):
            return False
    return True


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quotation mark that is not closed, as whoever types has it for a while
        return text.split()


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def count_since(journal: Journal, moment: float, **only: Any) -> int:
    """How many runs were created since a moment: found by halving, since rows are in the order of their creation.

    Args:
        journal: the project's.
        moment: seconds since 1970.
        only: which runs count, as of `Journal.runs`.
    """

    def is_older(offset: int) -> bool:
        rows = journal.runs(**only, limit=1, offset=offset)
        return not rows or rows[0].created < moment

    return bisect_left(range(journal.count(**only)), True, key=is_older)
