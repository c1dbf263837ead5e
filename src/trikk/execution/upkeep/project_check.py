"""What `trikk doctor` looks at: whether everything that runs rely on is there and is what it was."""

from __future__ import annotations

import contextlib
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from trikk.core.durations import show_bytes
from trikk.core.errors import ArtifactMissing, JournalError, StorageError, TrikkError
from trikk.core.package import __version__
from trikk.core.record import Record
from trikk.core.text import counted
from trikk.execution.code.earlier import effects_of, is_driven
from trikk.execution.project import Project
from trikk.execution.upkeep.cleanup import Needed, needs_of_models, needs_of_run
from trikk.runs.journals.journal import RunRow
from trikk.runs.states import OVER, RunStatus
from trikk.storage.tables.delta_log import RESTORE

_WIDTH = 5
_ON_PURPOSE = "if the table was removed on purpose, it is named until gc forgets the run"
_RESTORE_ARTIFACT = "restore it from a backup; a run that is not over makes it again: trikk resume RUN"


class Finding(Record, frozen=True):
    """One thing that was looked at.

    Attributes:
        subject: what.
        good: whether it is as it should be.
        text: what was found.
        next: what to do about it, if anything.
    """

    subject: str
    good: bool
    text: str
    next: str | None = None


def examine(project: Project) -> Iterator[Finding]:
    """Look at everything, one thing after the other; a part that can't be looked at is a finding, not an error.

    Runs, and clean-up, may go on meanwhile: what seems wrong is looked at once more, by the journal as it is then.
    """
    for subject, look in _LOOKS.items():
        try:
            yield from look(project)
        except TrikkError as error:
            yield Finding(subject, False, error.what, error.next)
        except OSError as error:
            yield _unreadable(subject, error)


def _unreadable(subject: str, error: OSError) -> Finding:
    text = f"{error.filename or 'it'} can't be read: {error.strerror or error}"
    return Finding(subject, False, text, "check its owner and mode, and the disk")


def _machine(project: Project) -> Iterator[Finding]:
    text = f"trikk {__version__}, Python {platform.python_version()}, {sys.platform}-{platform.machine()}"
    yield Finding("machine", True, text)
    yield Finding("project", True, f"{project.settings.name} in {project.root}")


def _code(project: Project) -> Iterator[Finding]:
    from trikk.execution.workers.process_executor import ProcessExecutor

    executor = ProcessExecutor(project.settings)
    try:
        graphs = executor.graphs()
    finally:
        executor.close()
    yield Finding("pipelines", True, ", ".join(graphs) or "none")
    if executor.isolation == "fork":
        yield Finding("isolation", True, "each step in a process forked from a preloaded parent")
    else:
        yield Finding(
            "isolation", True, f"each step in a {executor.isolation}", "steps start slower than they could"
        )


def _journal(project: Project) -> Iterator[Finding]:
    damage = project.journal.check()
    for sentence in damage:
        yield Finding("journal", False, sentence, "keep a copy of .trikk before anything else")
    rows = project.journal.runs(limit=None)
    if not damage:
        count = project.journal.unchecked()
        more = f"; an earlier trikk wrote {count:,} events and entries while this one was in use" if count else ""
        yield Finding("journal", True, f"{len(rows):,} runs{more}")
    for row in rows:
        if _goes_on(row) and not is_driven(project, row, time.time()):
            now = project.journal.row(row.id)  # it may have ended since
            if _goes_on(now):
                yield _abandoned(project, now)


def _goes_on(row: RunRow) -> bool:
    return row.state not in OVER and not row.forgotten


def _abandoned(project: Project, row: RunRow) -> Finding:
    """A run that nobody drives: no damage, unless it has left something half done outside."""
    if row.state == RunStatus.QUEUED and not project.run(row.id).is_locked:
        text = f"run {row.id} of {row.pipeline} waits to be started, and no driver is at it"
        return Finding("journal", True, text, f"a server starts it (trikk serve), or: trikk resume {row.id}")
    if row.state == RunStatus.WAITING:
        text = f"run {row.id} of {row.pipeline} waits for a decision"
        return Finding("journal", True, text, f"what it asks: trikk show {row.id}")
    try:
        done = effects_of(project, project.graph(project.run(row.id)), row)
        idle = not done
    except TrikkError:
        done, idle = (), False
    text = f"run {row.id} of {row.pipeline} is {row.state}, but its driver is gone"
    text += "; it has changed nothing outside" if idle else f"; it has run {', '.join(done)}" if done else ""
    return Finding("journal", idle, text, f"trikk resume {row.id}, or trikk cancel {row.id}")


def _recorded(project: Project) -> Iterator[Finding]:
    """Whether all that the kept runs and the registered models name is there."""
    needed = _needed(project)
    stored_digests = {stored.digest for stored in project.store.list()}
    if gone := {digest for digest in needed.digests if digest and digest not in stored_digests}:
        needed = _needed(project)
        gone = {digest for digest in gone & needed.digests.keys() if not project.store.contains(digest)}
    yield from _few(
        "artifacts",
        [
            Finding("artifacts", False, f"artifact {digest[:12]} is missing: {who}", _RESTORE_ARTIFACT)
            for digest, who in needed.digests.items()
            if digest in gone
        ],
        "are missing",
    )
    yield from _writes(project, needed)
    doubtful = []
    for name in sorted({*project.tables.names(), *needed.tables}):
        findings = list(_table(project, name, needed.tables.get(name, set())))
        if all(finding.good for finding in findings):
            yield from findings
        else:
            doubtful.append(name)
    if doubtful:
        needed = _needed(project)
    for name in doubtful:
        yield from _table(project, name, needed.tables.get(name, set()))


def _writes(project: Project, needed: Needed) -> Iterator[Finding]:
    """Whether each version that a run has written is its own."""
    findings = []
    for table, version, run in needed.writes:
        try:
            by = project.tables.wrote(table, version)
        except TrikkError:
            by = ""
        if by != run:
            who = "gone" if by == "" else "now one of another program" if by is None else f"now one of run {by}"
            text = f"run {run} has written version {version} of table {table}, which is {who}"
            findings.append(Finding(f"table {table}", False, text, f"{RESTORE}; {_ON_PURPOSE}"))
    yield from _few("tables", findings, "versions that runs have written are gone")


def _few(subject: str, findings: list[Finding], rest: str) -> Iterator[Finding]:
    """The first findings of a kind, and how many more there are."""
    yield from findings[:_WIDTH]
    if len(findings) > _WIDTH:
        yield Finding(subject, False, f"{len(findings) - _WIDTH} more {rest}")


def _needed(project: Project) -> Needed:
    needed = Needed(time.time())
    for row in project.journal.runs(limit=None):
        if not row.forgotten:
            with contextlib.suppress(JournalError):  # the journal's own check has named it
                needs_of_run(project, row.id, needed)
    needs_of_models(project, needed)
    return needed


def _unknown_runs(project: Project) -> Iterator[Finding]:
    """Whether the journal knows the runs that have left something: one that was emptied does not."""
    logs = project.settings.state / "runs"
    left = {folder.name: "its logs" for folder in (logs.iterdir() if logs.is_dir() else ())}
    if Path(project.settings.location("tables")).is_relative_to(project.settings.state):
        for name in project.tables.names():
            with contextlib.suppress(TrikkError):  # a damaged log is named where tables are looked at
                for version in range((project.tables.version(name) or 0) + 1):
                    if run := _writer(project, name, version):
                        left.setdefault(run, f"version {version} of table {name}")
    known = {row.id for row in project.journal.runs(limit=None)}  # asked last: runs may begin meanwhile
    advice = "restore a copy of the journal; this one has lost runs, or is another"
    findings = [
        Finding("journal", False, f"the journal does not know run {run}, of which there is {described}", advice)
        for run, described in left.items()
        if run not in known
    ]
    yield from _few("journal", findings, "runs are not in the journal")


def _writer(project: Project, table: str, version: int) -> str | None:
    try:
        return project.tables.wrote(table, version)
    except TrikkError:
        return None  # another program has put older entries of the log into a checkpoint


def _artifacts(project: Project) -> Iterator[Finding]:
    count, size = 0, 0
    bad: list[Finding] = []
    for stored in project.store.list():
        count, size = count + 1, size + stored.size
        try:
            # Where it is: to look at one does not make it wanted, nor take the room that it needs here.
            project.store.check(stored.digest)
        except ArtifactMissing:
            continue  # clean-up has removed it since; what is needed and missing is named with the runs
        except StorageError as damage:
            bad.append(Finding("artifacts", False, f"{damage.what} ({damage.where})", damage.next))
    yield from _few("artifacts", bad, "are damaged")
    if not bad:
        yield Finding("artifacts", True, f"{count:,} objects, {show_bytes(size)}, every digest verified")
    yield from _leftovers(project)


def _leftovers(project: Project) -> Iterator[Finding]:
    half = [p for p in Path(project.store.workspace()).glob("*") if p.is_file()]
    if half:
        yield Finding(
            "artifacts", True, f"{len(half)} half-written files of attempts that were killed", "trikk gc"
        )


def _table(project: Project, name: str, keep: set[int]) -> Iterator[Finding]:
    damage: list[TrikkError] = []
    info = None
    try:
        damage += project.tables.damage(name, keep)
        info = None if damage else project.tables.describe(name, history=1)
    except TrikkError as error:
        damage.append(error)
    except OSError as error:
        yield _unreadable(f"table {name}", error)
    subject = f"table {name}"
    findings = [Finding(subject, False, one.what, one.next) for one in damage]
    yield from _few(subject, findings, "files are damaged")
    if info is not None:
        text = f"version {info.version}, {counted(info.rows, 'row')}, {show_bytes(info.bytes)}"
        yield Finding(f"table {name}", True, text)


_LOOKS = {
    "machine": _machine,
    "pipelines": _code,
    "journal": _journal,
    "artifacts": _artifacts,
    "runs": _unknown_runs,
    "tables": _recorded,
}
