"""What `trikk doctor` looks at: whether everything that runs rely on is there and is what it was."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from trikk.core.durations import show_bytes
from trikk.core.errors import ArtifactCorrupt, ArtifactMissing, TrikkError
from trikk.core.values import JSON
from trikk.core.version import __version__
from trikk.execution.project import Project
from trikk.runs.state import OVER

_WIDTH = 5


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


def _tables(project: Project) -> Iterator[Finding]:
    for name in project.tables.names():
        try:
            info = project.tables.describe(name, history=1)
            project.tables.scan(name)
        except TrikkError as error:
            yield Finding(f"table {name}", False, error.what, error.next)
        else:
            yield Finding(
                f"table {name}", True, f"version {info.version}, {info.rows:,} rows, {show_bytes(info.bytes)}"
            )


_LOOKS = {
    "machine": _machine,
    "pipelines": _code,
    "journal": _journal,
    "artifacts": _artifacts,
    "tables": _tables,
}
