"""What `trikk doctor` looks at: whether everything that runs rely on is there and is what it was."""

from __future__ import annotations

import contextlib
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from trikk.core.durations import show_bytes
from trikk.core.errors import ArtifactCorrupt, ArtifactMissing, JournalError, TrikkError
from trikk.core.values import JSON
from trikk.core.version import __version__
from trikk.execution.cleanup import Needed, needs_of_models, needs_of_run
from trikk.execution.project import Project
from trikk.runs.state import OVER
from trikk.storage.table_log import RESTORE

_WIDTH = 5
_RESTORE_ARTIFACT = "restore it from a backup; a run that is not over makes it again: trikk resume RUN"


@dataclass(frozen=True, slots=True)
class Finding:
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

    def to_json(self) -> dict[str, JSON]:
        """The finding as JSON."""
        return asdict(self)


def examine(project: Project) -> list[Finding]:
    """Look at everything; a part that can't be looked at is a finding, not an error."""
    found: list[Finding] = []
    for subject, look in _LOOKS.items():
        try:
            found += look(project)
        except TrikkError as error:
            found.append(Finding(subject, False, error.what, error.next))
    return found


def _machine(project: Project) -> Iterator[Finding]:
    text = f"trikk {__version__}, Python {platform.python_version()}, {sys.platform}-{platform.machine()}"
    yield Finding("machine", True, text)
    yield Finding("project", True, f"{project.settings.name} in {project.root}")


def _code(project: Project) -> Iterator[Finding]:
    from trikk.execution.process import ProcessExecutor

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
        yield Finding("journal", True, f"{len(rows):,} runs")
    for row in rows:
        if row.state not in OVER and not row.forgotten and not project.is_driven(row.id):
            text = f"run {row.id} of {row.pipeline} is {row.state}, but its driver is gone"
            yield Finding("journal", False, text, f"trikk resume {row.id}, or trikk cancel {row.id}")


def _recorded(project: Project) -> Iterator[Finding]:
    """Whether all that the kept runs and the registered models name is there."""
    needed = _needed(project)
    there = {stored.digest for stored in project.store.list()}
    gone = [(digest, who) for digest, who in needed.digests.items() if digest and digest not in there]
    for digest, who in gone[:_WIDTH]:
        yield Finding("artifacts", False, f"artifact {digest[:12]} is missing: {who}", _RESTORE_ARTIFACT)
    if len(gone) > _WIDTH:
        yield Finding("artifacts", False, f"{len(gone) - _WIDTH} more are missing")
    for table, version, run in needed.writes:
        try:
            by = project.tables.wrote(table, version)
        except TrikkError:
            by = ""
        if by != run:
            text = f"run {run} has written version {version} of table {table}, which is " + (
                f"now one of run {by}" if by else "gone"
            )
            yield Finding(f"table {table}", False, text, RESTORE)
    for name in sorted({*project.tables.names(), *needed.tables}):
        yield from _table(project, name, needed.tables.get(name, set()))


def _needed(project: Project) -> Needed:
    needed = Needed()
    for row in project.journal.runs(limit=None):
        if not row.forgotten:
            with contextlib.suppress(JournalError):  # the journal's own check has named it
                needs_of_run(project, row.id, needed)
    needs_of_models(project, needed)
    return needed


def _unknown_runs(project: Project) -> Iterator[Finding]:
    """Whether the journal knows the runs that have left something: one that was emptied does not."""
    known = {row.id for row in project.journal.runs(limit=None)}
    logs = project.settings.state / "runs"
    left = {folder.name: "its logs" for folder in (logs.iterdir() if logs.is_dir() else ())}
    if Path(project.settings.location("tables")).is_relative_to(project.settings.state):
        for name in project.tables.names():
            with contextlib.suppress(TrikkError):  # a damaged log is named where tables are looked at
                for version in range((project.tables.version(name) or 0) + 1):
                    if run := project.tables.wrote(name, version):
                        left.setdefault(run, f"version {version} of table {name}")
    unknown = {run: what for run, what in left.items() if run not in known}
    for run, what in list(unknown.items())[:_WIDTH]:
        text = f"the journal does not know run {run}, of which there is {what}"
        yield Finding(
            "journal", False, text, "restore a copy of the journal; this one has lost runs, or is another"
        )
    if len(unknown) > _WIDTH:
        yield Finding("journal", False, f"{len(unknown) - _WIDTH} more runs are not in the journal")


def _artifacts(project: Project) -> Iterator[Finding]:
    count, size = 0, 0
    bad: list[TrikkError] = []
    for stored in project.store.list():
        count, size = count + 1, size + stored.size
        try:
            project.store.fetch(stored.digest)
        except (ArtifactCorrupt, ArtifactMissing) as error:
            bad.append(error)
    for damage in bad[:_WIDTH]:
        yield Finding("artifacts", False, f"{damage.what} ({damage.where})", damage.next)
    if len(bad) > _WIDTH:
        yield Finding("artifacts", False, f"{len(bad) - _WIDTH} more are damaged")
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
    for one in damage[:_WIDTH]:
        yield Finding(f"table {name}", False, one.what, one.next)
    if info is not None:
        text = f"version {info.version}, {info.rows:,} rows, {show_bytes(info.bytes)}"
        yield Finding(f"table {name}", True, text)


_LOOKS = {
    "machine": _machine,
    "pipelines": _code,
    "journal": _journal,
    "artifacts": _artifacts,
    "runs": _unknown_runs,
    "tables": _recorded,
}
