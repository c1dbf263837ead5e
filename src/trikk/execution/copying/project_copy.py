"""A whole project from folder to shared storage, or back: what it comes to, what forbids it, and in which order.

Artifacts and tables go first and the journal last, in one transaction. So whatever is killed when, a target's
journal names nothing that is not there, and until it is whole it names nothing at all; to begin anew is to go on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from trikk.core.errors import JournalError, ProjectError, StorageError, UsageError, WrongState
from trikk.core.record import Record
from trikk.core.settings import FILE, load_settings
from trikk.execution.copying import file_copy
from trikk.execution.copying.file_copy import Amount, Progress
from trikk.execution.copying.journal_copy import compare_journals, merge_journals
from trikk.execution.project import Project
from trikk.runs.journals.sql_journal import SqlJournal
from trikk.runs.living_servers import living
from trikk.storage.stores.locks import file_lock

_PLACES = ("journal", "artifacts", "tables")


class CopyReport(Record, frozen=True):
    """What a project holds and what its target lacks, or lacked.

    Attributes:
        target: the target project's folder.
        runs: how many runs the project has.
        journal: rows that the target lacks or has in an earlier state, by table.
        artifacts: the store's objects.
        tables: the files of all tables' versions.
        state: logs, published streams and other files of `.trikk`.
        gone_on: something was written to the project while it was copied; another copy brings it over.
    """

    target: str
    runs: int
    journal: dict[str, int]
    artifacts: Amount
    tables: Amount
    state: Amount
    gone_on: bool = False


def open_target(named: Path) -> Project:
    """The project to which another is to be copied.

    Args:
        named: its folder, or the trikk.toml in it.

    Raises:
        ProjectError: if there is none, or its trikk.toml is wrong.
    """
    folder = named.parent if named.name == FILE else named
    if not (folder / FILE).is_file():
        raise ProjectError(
            f"there is no {FILE} in {folder}",
            next=f"put the project's code there, with a {FILE} whose [storage] says where its runs are to be kept",
        )
    return Project(load_settings(folder.resolve()))


def plan_copy(source: Project, target: Project, *, in_use: bool = False) -> CopyReport:
    """What a copy would bring over; nothing is written but an empty journal.

    Args:
        source: the project.
        target: where to.
        in_use: allow that a driver or a server is at the source.

    Raises:
        UsageError: if both are at one place, or the target's storage is of no lasting kind.
        WrongState: if a process is at one of them, or the target is no copy of the source as it is now or was.
    """
    _refuse(source, target, in_use=in_use)
    with _of(source).whole() as read:
        return _compared(source, read, target)


def copy_project(source: Project, target: Project, progress: Progress, *, in_use: bool = False) -> CopyReport:
    """Bring everything over that the target lacks, and compare both afterwards.

    Args:
        source: the project.
        target: where to.
        progress: is called with the kind of thing and how many of them have been looked at.
        in_use: allow that a driver or a server is at the source; what they do meanwhile is left to another copy.

    Returns:
        What the target lacked before.

    Raises:
        UsageError, WrongState: as `plan_copy`; nothing was written.
        StorageError, JournalError: if something can't be read or written, or does not read back as it is.
    """
    _refuse(source, target, in_use=in_use)
    with _alone(target):
        newest = _newest(source)
        # One moment of the journal, before artifacts and tables are listed: they hold all that it names.
        with _of(source).whole() as read:
            before = _compared(source, read, target)
            file_copy.copy_objects(source.store, target.store, progress)
            file_copy.copy_tables(source, target, progress)
            file_copy.copy_state(source.settings.state, target.state_dir, progress)
            merge_journals(_of(source), read, _of(target))
            _verify(source, read, target)
    return replace(before, gone_on=_newest(source) > newest)


def _newest(project: Project) -> int:
    """The number of the journal's last event."""
    return project.journal.ends(after=1 << 62)[1]


def _verify(source: Project, read: object, target: Project) -> None:
    left = compare_journals(_of(source), read, _of(target))
    damage = [f"{count} rows of {table} differ" for table, count in left.items() if count]
    damage += target.journal.check()
    if damage:
        raise JournalError(
            f"the target's journal is not what was copied: {damage[0]}",
            next="keep the project as it was, empty the target and copy again",
        )


def _compared(source: Project, read: object, target: Project) -> CopyReport:
    rows = compare_journals(_of(source), read, _of(target))
    return CopyReport(
        target=str(target.root),
        runs=source.journal.count(),
        journal=rows,
        artifacts=file_copy.count_objects(source.store, target.store),
        tables=file_copy.count_tables(source.tables.files, target.tables.files),
        state=file_copy.count_state(source.settings.state, target.settings.state),
    )


def _of(project: Project) -> SqlJournal:
    journal = project.journal
    if not isinstance(journal, SqlJournal):
        raise TypeError(type(journal).__name__)
    return journal


def _refuse(source: Project, target: Project, *, in_use: bool) -> None:
    _refuse_same_place(source, target)
    if not in_use:
        _refuse_in_use(source, "this project", "; or copy what is there now: --in-use")
    _refuse_in_use(target, "the target", "")


def _refuse_same_place(source: Project, target: Project) -> None:
    if source.root.resolve() == target.root.resolve():
        raise UsageError("a project can't be copied to itself", next="name another project's folder")
    for kind in _PLACES:
        place = target.settings.location(kind)
        if place == "memory:":
            raise UsageError(f"the target keeps its {kind} in memory", next=f"give storage.{kind} a place")
        if kind == "journal" and place == source.settings.location(kind):
            raise UsageError(
                "the target has the same journal as this project", next=f"change [storage] in its {FILE}"
            )


def _refuse_in_use(project: Project, name: str, way_out: str) -> None:
    """Raise WrongState if a driver or server is at a project, with who; `way_out` is what else may be done."""
    now = time.time()
    who = [
        f"run {run} is driven by process {lease.holder.pid} on {lease.holder.host}"
        for run, lease in project.journal.leases().items()
        if project.is_driven(run)
    ]
    who += [
        f"a server is process {server.holder.pid} on {server.holder.host}"
        for server in living(project.journal.servers(), now)
    ]
    if who:
        more = f", and {len(who) - 1} more" if len(who) > 1 else ""
        raise WrongState(
            f"{name} is in use: {who[0]}{more}", where=str(project.root), next=f"let it end, or end it{way_out}"
        )


@contextmanager
def _alone(target: Project) -> Iterator[None]:
    """Keep other copies to a target away, as far as they are on this machine."""
    try:
        with file_lock(target.state_dir / "copy.lock", timeout=0):
            yield
    except StorageError as error:
        if error.where == str(target.state_dir / "copy.lock"):
            raise WrongState(
                "another process copies to this target", where=error.where, next="let it end"
            ) from None
        raise
