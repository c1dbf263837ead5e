"""One journal's rows into another, whichever databases they are in, with their numbers and checksums.

Both are read page by page in the order of a key, so that memory does not grow with them, and the target gets what
it lacks. What a journal never changes (an event, an entry) may differ nowhere: a target with one that the source
does not have is another project's, or has gone on by itself, and is refused. Leases and servers say who is at work
now; they stay behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from trikk.core.errors import WrongState
from trikk.runs.journals.sql_journal import SqlJournal

_PAGE = 500  # rows; an event's body may have megabytes
_GROWS = ("events", "ledger")
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of the journal: `columns` begin with the one that orders it."""

    name: str
    columns: tuple[str, ...]
    before: int | str  # what comes before all keys
    numbered: bool = True


# Those that are only added to come first: by them a target is known that is no copy.
_TABLES = (
    _Table("events", ("seq", "run", "kind", "at", "body", "chain"), 0),
    _Table("ledger", ("seq", "subject", "kind", "at", "body", "identity", "chain"), 0),
    _Table(
        "runs",
        (
            *("seq", "id", "pipeline", "state", "created", "started", "ended"),
            *("parameters", "origin", "error", "forgotten", "chain"),
        ),
        0,
        numbered=False,
    ),
    _Table("heads", ("subject", "chain"), "", numbered=False),
    _Table("cache", ("key", "seq", "pipeline", "step", "at", "body"), ""),
)


def compare_journals(source: SqlJournal, read: Any, target: SqlJournal) -> dict[str, int]:
    """How many rows of each table the target lacks, or has in an earlier state.

    Args:
        source: the journal that is copied.
        read: its connection, as `SqlJournal.whole` gives it.
        target: the other one.

    Raises:
        WrongState: if the target is no copy of the source as it is now or was.
        JournalError: if one of them can't be read.
    """
    with target.whole() as connection:
        return _Merge(source, read, target, connection).all_tables(lambda _, __, ___: None)


def merge_journals(source: SqlJournal, read: Any, target: SqlJournal) -> dict[str, int]:
    """Make the target hold what the source does, in one transaction; arguments, result and errors as before."""
    with target.whole(write=True) as connection:
        merge = _Merge(source, read, target, connection)
        counts = merge.all_tables(merge.write)
        target.numbered(connection)
    return counts


class _Merge:
    def __init__(self, source: SqlJournal, read: Any, target: SqlJournal, connection: Any) -> None:
        self._source, self._read, self._target, self._connection = source, read, target, connection

    def all_tables(self, write: Callable[[_Table, list[Row], list[Any]], None]) -> dict[str, int]:
        """Go through all tables; `write` gets the rows to put, and the keys to remove before. Returns how many."""
        counts = {}
        for table in _TABLES:
            counts[table.name] = 0
            for rows, known in self._pages(table):
                wanted = {row[0]: row for row in rows}
                surplus = [row for key, row in known.items() if key not in wanted]
                changed = [row for key, row in wanted.items() if known.get(key, row) != row]
                self._check(table, surplus, changed, known)
                lacking = [row for row in rows if known.get(row[0]) != row]
                removed = [row[0] for row in surplus] + [row[0] for row in changed]
                if lacking or removed:
                    write(table, lacking, removed)
                counts[table.name] += max(len(lacking), len(removed))
        return counts

    def write(self, table: _Table, rows: list[Row], removed: list[Any]) -> None:
        """Remove rows of the target by their keys, then put rows in."""
        key, journal = table.columns[0], self._target
        cursor = self._connection.cursor()
        if removed:
            text = f"DELETE FROM {journal.schema}.{table.name} WHERE {key} = {journal.mark.format('key')}"  # noqa: S608
            cursor.executemany(text, [{"key": value} for value in removed])
        if rows:
            columns, marks = ", ".join(table.columns), ", ".join(map(journal.mark.format, table.columns))
            number = journal.with_number if table.numbered else ""
            text = f"INSERT INTO {journal.schema}.{table.name} ({columns}) {number} VALUES ({marks})"  # noqa: S608 - names of ours
            cursor.executemany(text, [dict(zip(table.columns, row, strict=True)) for row in rows])

    def _pages(self, table: _Table) -> Iterator[tuple[list[Row], dict[Any, Row]]]:
        """A page of the source's rows, and what the target has between its ends, by key."""
        after = table.before
        while True:
            rows = _select(self._source, self._read, table, after, limit=_PAGE)
            if not rows:
                break
            between = _select(self._target, self._connection, table, after, until=rows[-1][0])
            yield rows, {row[0]: row for row in between}
            after = rows[-1][0]
        while rest := _select(self._target, self._connection, table, after, limit=_PAGE):
            yield [], {row[0]: row for row in rest}
            after = rest[-1][0]

    def _check(self, table: _Table, surplus: list[Row], changed: list[Row], known: dict[Any, Row]) -> None:
        """Raise WrongState if rows that only the target has, or has otherwise, are none the source ever had."""
        if table.name == "ledger" and (surplus or changed):
            row = (surplus or changed)[0]
            raise self._foreign(f"an entry of {known[row[0]][1]} that this project does not have")
        if table.name == "events":
            kept = [row for row in surplus if not self._was_forgotten(row[1])]
            for row in [*kept, *(known[row[0]] for row in changed)]:
                raise self._foreign(f"run {row[1]} with an event ({row[2]}) that this project does not have")
        if table.name == "runs":
            for row in [*surplus, *(row for row in changed if known[row[0]][1] != row[1])]:
                raise self._foreign(f"run {known[row[0]][1]}, which this project does not have")

    def _was_forgotten(self, run: str) -> bool:
        """Whether the source has dropped a run's events when it stood as the target has it."""
        text = "SELECT state, started, ended, error, forgotten FROM {}.runs WHERE id = {}"
        in_source, in_target = (
            connection.execute(text.format(journal.schema, journal.mark.format("run")), {"run": run}).fetchone()
            for journal, connection in ((self._source, self._read), (self._target, self._connection))
        )
        if in_source is None or in_target is None or not in_source[4]:
            return False
        return tuple(in_source[:4]) == tuple(in_target[:4])

    def _foreign(self, has: str) -> WrongState:
        return WrongState(
            f"the target's journal has {has}",
            where=_place(self._target),
            next="copy to an empty place, or to an earlier copy of this project in which nothing has run since",
        )


def _select(
    journal: SqlJournal, connection: Any, table: _Table, after: Any, *, limit: int | None = None, until: Any = None
) -> list[Row]:
    key, mark = table.columns[0], journal.mark.format
    text = f"SELECT {', '.join(table.columns)} FROM {journal.schema}.{table.name} WHERE {key} > {mark('after')}"  # noqa: S608
    values = {"after": after}
    if until is not None:
        text, values["until"] = f"{text} AND {key} <= {mark('until')}", until
    text += f" ORDER BY {key}"
    if limit is not None:
        text, values["limit"] = f"{text} LIMIT {mark('limit')}", limit
    return [tuple(row) for row in connection.execute(text, values).fetchall()]


def _place(journal: SqlJournal) -> str:
    return str(getattr(journal, "location", None) or getattr(journal, "path", "memory:"))
