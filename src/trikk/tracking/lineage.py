"""Where a run's inputs come from and who used what it made; who read a table, and who uses a model.

A table's own history says who wrote a version, a run's lock what it read. Runs are looked through in the order in
which they were created, a bounded number at a time: whoever wants more goes on behind the last one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from trikk.core.errors import TrikkError
from trikk.core.record import Record
from trikk.execution.project import Project
from trikk.models.registry import Registry
from trikk.runs.journals.journal import Journal, RunRow
from trikk.runs.states import RunStatus
from trikk.tracking.run_filter import FIRST_EVENTS

LOOKED_THROUGH = 1000
"""Runs that one question looks through."""


class Reader(Record, frozen=True):
    """A run that was locked to a version of a table or of a model.

    Attributes:
        run: its id.
        pipeline: its pipeline.
        state: what it is at.
        created: seconds since 1970.
        version: what it was locked to; None for a table that was not there yet.
    """

    run: str
    pipeline: str
    state: RunStatus
    created: float
    version: int | None


class ReadersPage(Record, frozen=True):
    """Runs that were locked to something, the newest first; `next` is the cursor behind those looked through."""

    readers: list[Reader]
    next: str | None


class ReadTable(Record, frozen=True):
    """A table that a run read, and who wrote that version: None, and "", where no run did."""

    table: str
    version: int | None
    run: str | None
    step: str | None
    at: float | None


class ReadModel(Record, frozen=True):
    """A model that a run used, by which reference, and the run that registered it; version None if it had none."""

    reference: str
    version: int | None
    run: str


class WrittenTable(Record, frozen=True):
    """A version that a run wrote, and the runs that were locked to it."""

    table: str
    version: int
    step: str
    readers: list[Reader]


class RegisteredModel(Record, frozen=True):
    """A version that a run registered, and the runs that used it."""

    model: str
    version: int
    users: list[Reader]


class Lineage(Record, frozen=True):
    """A run's place among the others.

    Attributes:
        run: its id.
        repeats: the run that it is a replay of; None if it is none.
        tables: what it read.
        models: what it used.
        written: versions of tables that it made.
        registered: versions of models that it made.
        is_whole: whether all later runs were looked through for who used that, or only the next thousand.
    """

    run: str
    repeats: str | None
    tables: list[ReadTable]
    models: list[ReadModel]
    written: list[WrittenTable]
    registered: list[RegisteredModel]
    is_whole: bool


def lineage(project: Project, registry: Registry, run: str) -> Lineage:
    """Look one step up and one step down from a run.

    Raises:
        UnknownName: if there is no such run.
    """
    journal, state = project.journal, project.run(run)
    written = {
        (str(task.write["table"]), int(task.write["version"])): step
        for (step, _), task in state.tasks()
        if task.write and task.write.get("version") is not None
    }
    registered = [
        (version.name, version.version)
        for name in registry.names()
        for version in registry.versions(name)
        if version.run == run
    ]
    later = journal.runs(after=run, limit=LOOKED_THROUGH + 1) if written or registered else []
    locks = list(_locks(journal, later[:LOOKED_THROUGH]))
    return Lineage(
        run,
        state.origin.get("of") if state.origin.get("kind") == "replay" else None,
        [_read_table(project, table, version) for table, version in state.lock.get("tables", {}).items()],
        [_read_model(reference, locked) for reference, locked in state.lock.get("models", {}).items()],
        [
            WrittenTable(table, version, step, [r for r in _of_table(locks, table) if r.version == version])
            for (table, version), step in written.items()
        ],
        [
            RegisteredModel(name, version, [r for r in _of_model(locks, name) if r.version == version])
            for name, version in registered
        ],
        len(later) <= LOOKED_THROUGH,
    )


def table_readers(journal: Journal, table: str, limit: int, before: str | None = None) -> ReadersPage:
    """Runs that were locked to a table, the newest first, from a run on (its id) or from the newest."""
    return _page(journal, limit, before, lambda locks: _of_table(locks, table))


def model_users(journal: Journal, model: str, limit: int, before: str | None = None) -> ReadersPage:
    """Runs that were locked to a version of a model, likewise."""
    return _page(journal, limit, before, lambda locks: _of_model(locks, model))


_Locks = Iterable[tuple[RunRow, Mapping[str, Any]]]


def _page(journal: Journal, limit: int, before: str | None, of: Any) -> ReadersPage:
    rows = journal.runs(limit=LOOKED_THROUGH, before=before)
    readers: list[Reader] = []
    for row, lock in _locks(journal, rows):
        readers += of([(row, lock)])
        if len(readers) >= limit:
            return ReadersPage(readers, row.id)
    return ReadersPage(readers, rows[-1].id if len(rows) == LOOKED_THROUGH else None)


def _locks(journal: Journal, rows: Sequence[RunRow]) -> Iterator[tuple[RunRow, Mapping[str, Any]]]:
    """Runs that have been locked, with their locks; of one that is forgotten, that of its creation."""
    for row in rows:
        locks: list[Any] = [e.body.get("lock") for e in journal.events(row.id, limit=FIRST_EVENTS)]
        lock = next((one for one in reversed(locks) if one and "tables" in one), None)
        if lock is not None:
            yield row, lock


def _of_table(locks: _Locks, table: str) -> list[Reader]:
    return [_reader(row, lock["tables"][table]) for row, lock in locks if table in lock["tables"]]


def _of_model(locks: _Locks, model: str) -> list[Reader]:
    return [
        _reader(row, version["version"])
        for row, lock in locks
        for version in lock.get("models", {}).values()
        if version and version["name"] == model
    ]


def _reader(row: RunRow, version: int | None) -> Reader:
    return Reader(row.id, row.pipeline, row.state, row.created, version)


def _read_table(project: Project, table: str, version: int | None) -> ReadTable:
    if version is None:
        return ReadTable(table, None, None, None, None)
    try:
        write = project.tables.describe(table, version, history=1).history[0]
    except TrikkError:  # clean-up has removed that version
        return ReadTable(table, version, None, None, None)
    return ReadTable(table, version, write.run, write.step, write.at)


def _read_model(reference: str, locked: Any) -> ReadModel:
    return ReadModel(reference, locked["version"] if locked else None, locked["run"] if locked else "")
