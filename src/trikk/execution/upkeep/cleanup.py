"""Clean-up: what no kept run needs goes, what one needs stays, and every removal has a reason.

A kept run needs its graph, code bundle and list of packages, the artifacts of its steps with everything
inside them, the models that it read, and the versions of tables that it read or wrote. Registered models are
needed always, with their code. Runs that are not over are always kept. Nothing younger than a grace period is
removed, since a run may be about to name it: whoever names an object touches it first, and a table's file is
young until the grace period has passed since a newer version did without it.

Frames of a run that has succeeded go after `[storage] keep`, if a replay can make them again: those of sources and
of steps with effects stay, since these are not asked again. What stays and nobody has read for long is compressed.

Runs may begin at any moment of a clean-up. So runs are forgotten first, and only then the journal is asked what
the others need; and each object's age is looked at again when it is removed.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from trikk.core.clock import Clock, SystemClock
from trikk.core.durations import show_bytes, show_seconds
from trikk.core.errors import LeaseHeld, StorageError, TrikkError
from trikk.core.values import JSON
from trikk.execution.project import Project
from trikk.models.registry import Registry
from trikk.runs.bundle import contents
from trikk.runs.events import EventKind
from trikk.runs.journals.journal import RunRow
from trikk.runs.run_state import RunState
from trikk.runs.states import OVER, RunStatus
from trikk.storage.artifact import Artifact
from trikk.storage.stores.local import LocalStore

COLD = 7 * 86_400.0  # seconds


@dataclass(slots=True)
class Collected:
    """What was, or would be, removed.

    Attributes:
        kept: runs that stay.
        forgotten: runs whose events, logs and artifacts went.
        artifacts: objects removed from the store.
        bytes: their size, and that of the table files.
        table_files: data files of old table versions that were removed.
        kinds: of what, in words, how many and how many bytes; the sum is `bytes` and the logs.
        compressed: objects that were compressed, since nobody had read them for long.
        compressed_bytes: what this saved; about so in a dry run.
        spared: objects and files of tables that no kept run needs, within the grace period.
        spared_bytes: their size.
        reasons: sentences.
    """

    kept: int = 0
    forgotten: int = 0
    artifacts: int = 0
    bytes: int = 0
    table_files: int = 0
    kinds: dict[str, tuple[int, int]] = field(default_factory=dict)
    compressed: int = 0
    compressed_bytes: int = 0
    spared: int = 0
    spared_bytes: int = 0
    reasons: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, JSON]:
        """The report as JSON."""
        return asdict(self)

    def add(self, kind: str, count: int, size: int) -> None:
        """Count more of a kind."""
        before = self.kinds.get(kind, (0, 0))
        if count:
            self.kinds[kind] = (before[0] + count, before[1] + size)


@dataclass(slots=True)
class Needed:
    """What kept runs and registered models need.

    Attributes:
        now: the moment at which it is asked, in seconds since 1970.
        digests: objects of the store, each with the first that needs it, in words.
        tables: versions of tables by name.
        writes: (table, version, run) of each write that a run has recorded.
    """

    now: float
    digests: dict[str, str] = field(default_factory=dict)
    tables: dict[str, set[int]] = field(default_factory=dict)
    writes: list[tuple[str, int, str]] = field(default_factory=list)


def collect(
    project: Project,
    *,
    keep_last: int | None = None,
    older_than: float | None = None,
    grace: float = 3600.0,
    compress_after: float = COLD,
    dry_run: bool = False,
    clock: Clock | None = None,
) -> Collected:
    """Remove what no kept run needs.

    Args:
        project: the project.
        keep_last: how many runs of each pipeline to keep; all if None.
        older_than: forget only runs that ended this many seconds ago; any age if None.
        grace: spare objects and files younger than this many seconds.
        compress_after: compress what nobody has read for so many seconds, at least a day.
        dry_run: remove nothing, only say what would be.
        clock: time; the machine's if not given.

    Raises:
        StorageError: if a kept run's artifact list can't be read; nothing was removed then.
    """
    clock = clock or SystemClock()
    before = clock.now() - grace
    doomed = choose(_remembered(project), keep_last, older_than, clock.now())
    report = Collected()
    doomed = {run for run in doomed if _forget(project, run, clock, report, dry_run=dry_run)}
    kept = [row.id for row in _remembered(project) if row.id not in doomed]
    report.kept, report.forgotten = len(kept), len(doomed)
    if doomed:
        report.reasons.append(f"{len(doomed)} runs are beyond what --keep-last and --older-than keep")
    needed = _needed(project, kept, clock.now())
    _sweep_store(project, needed, report, before, dry_run=dry_run)
    _sweep_workspace(project, report, before, dry_run=dry_run)
    _sweep_tables(project, needed, report, before, clock, dry_run=dry_run)
    if isinstance(project.store, LocalStore):
        try:
            report.compressed, report.compressed_bytes = project.store.compress(
                needed.digests, before=clock.now() - compress_after, dry_run=dry_run
            )
        except StorageError as error:
            report.reasons.append(f"not all was compressed: {error.what}")
    if report.spared:
        size = show_bytes(report.spared_bytes)
        report.reasons.append(
            f"{report.spared} unneeded objects and files ({size}) stay: they are within the grace period "
            f"of {show_seconds(grace)}"
        )
    return report


def _remembered(project: Project) -> list[RunRow]:
    return [row for row in project.journal.runs(limit=None) if not row.forgotten]


def choose(rows: Iterable[RunRow], keep_last: int | None, older_than: float | None, now: float) -> set[str]:
    """The ids of the runs to forget: a pure decision.

    Args:
        rows: the newest first.
        keep_last: as for `collect`.
        older_than: as for `collect`.
        now: wall time in seconds since 1970.
    """
    if keep_last is None and older_than is None:
        return set()
    seen: dict[str, int] = {}
    doomed = set()
    for row in rows:
        seen[row.pipeline] = seen.get(row.pipeline, 0) + 1
        over = row.state in OVER and row.ended is not None
        surplus = keep_last is None or seen[row.pipeline] > keep_last
        old = older_than is None or (over and now - (row.ended or now) > older_than)
        if over and surplus and old:
            doomed.add(row.id)
    return doomed


def _needed(project: Project, runs: Iterable[str], now: float) -> Needed:
    needed = Needed(now)
    for run in runs:
        needs_of_run(project, run, needed)
    needs_of_models(project, needed)
    return needed


def needs_of_models(project: Project, needed: Needed) -> None:
    """Add what registered models need."""
    registry = Registry(project.journal)
    for version in (v for name in registry.names() for v in registry.versions(name)):
        who = f"version {version.version} of model {version.name}"
        for kept in filter(None, (version.artifact, version.spare)):
            _needs_artifact(project, kept.to_json(), needed, who)
        _needs_code(project, {version.code}, needed, f"the code of {who}")


def needs_of_run(project: Project, run: str, needed: Needed) -> None:
    """Add what a run needs.

    Raises:
        JournalError: if its events are damaged.
    """
    state = project.run(run)
    _needs_of(project, state, needed)
    for event in project.journal.events(run):
        if event.kind == EventKind.ARTIFACT_LOGGED:
            _needs_artifact(project, event.body["artifact"], needed, f"what run {run} has logged")


def _needs_of(project: Project, state: RunState, needed: Needed) -> None:
    lock: dict[str, Any] = state.lock
    if not state.is_locked:
        return  # it waits in a queue, or could not be started
    run, again = f"run {state.id}", _made_again(project, state, needed.now)
    _needs_code(project, {str(lock.get("code", ""))} | _codes_before(project, state), needed, f"the code of {run}")
    needed.digests.setdefault(state.graph, f"the graph of {run}")
    needed.digests.setdefault(str(lock.get("packages", "")), f"the packages of {run}")
    for name, version in lock.get("tables", {}).items():
        if version is not None:
            needed.tables.setdefault(name, set()).add(version)
    for version in lock.get("models", {}).values():
        if version is not None:
            for kept in filter(None, (version["artifact"], version.get("spare"))):
                _needs_artifact(project, kept, needed, f"a model of {run}")
    for (step, item), task in state.tasks():
        if task.write and "version" in task.write:
            needed.tables.setdefault(task.write["table"], set()).add(task.write["version"])
            needed.writes.append((task.write["table"], task.write["version"], state.id))
        who = f"what step {step if item is None else f'{step}[{item}]'} of {run} made"
        for output in task.outputs or []:
            _needs_artifact(project, output, needed, who, frames=step not in again)
    _needs_unsaid(project, state, needed)


def _needs_unsaid(project: Project, state: RunState, needed: Needed) -> None:
    """Add what a run has written and was killed before it could say so: its resume will."""
    if state.state == RunStatus.SUCCEEDED:
        return
    said = {step for (step, _), task in state.tasks() if task.write}
    with suppress(TrikkError):  # no resume without its graph; a damaged table is left alone
        for node in project.graph(state).nodes.values():
            if node.write is None or node.name in said:
                continue
            made = project.tables.made(node.write.table, f"{state.id}/{node.name}")
            if made is not None:
                needed.tables.setdefault(node.write.table, set()).add(made.version)


def _made_again(project: Project, state: RunState, now: float) -> set[str]:
    """The steps of a run whose frames are kept no longer: a replay makes them again from what the run has pinned.

    Of a run that has not succeeded all stays, since a resume goes on from it.
    """
    keep = project.settings.keep
    if keep is None or state.state != RunStatus.SUCCEEDED or (state.ended or math.inf) > now - keep:
        return set()
    try:
        nodes = project.graph(state).nodes.values()
    except TrikkError:
        return set()  # no replay without it
    return {node.name for node in nodes if not node.source and not node.effect}


def _needs_artifact(project: Project, data: Any, needed: Needed, who: str, *, frames: bool = True) -> None:
    """Add an artifact and what is inside it, with its frames or without."""

    def add(artifact: Artifact) -> None:
        if frames or artifact.codec != "arrow":
            needed.digests.setdefault(artifact.digest, who)

    artifact = Artifact.read(data)
    add(artifact)
    try:
        for child in project.artifacts.children(artifact):
            add(child)
    except StorageError:
        return  # it is gone or damaged: nothing inside it can be named


def _codes_before(project: Project, state: RunState) -> set[str]:
    """Bundles that the run was locked to before it was resumed with other code."""
    codes = set()
    for event in project.journal.events(state.id):
        lock: Any = event.body.get("lock")
        if lock:
            codes.add(str(lock.get("code", "")))
    return codes


def _needs_code(project: Project, bundles: set[str], needed: Needed, who: str) -> None:
    for bundle in bundles - needed.digests.keys() - {""}:
        needed.digests[bundle] = who
        try:
            for content in contents(project.store, bundle).values():
                needed.digests.setdefault(content, who)
        except TrikkError:
            continue


def _forget(project: Project, run: str, clock: Clock, report: Collected, *, dry_run: bool) -> bool:
    logs = project.settings.state / "runs" / run
    sizes = [path.stat().st_size for path in logs.rglob("*") if path.is_file()]
    if not dry_run:
        try:
            project.journal.forget(run, at=clock.now())
        except LeaseHeld:
            report.reasons.append(f"run {run} is driven again and stays")
            return False
        shutil.rmtree(logs, ignore_errors=True)
    report.add("logs", len(sizes), sum(sizes))
    return True


def _sweep_store(project: Project, needed: Needed, report: Collected, before: float, *, dry_run: bool) -> None:
    for stored in list(project.store.list()):
        if stored.digest in needed.digests:
            continue
        kind = _kind(project, stored.digest)
        goes = stored.modified <= before and (dry_run or project.store.delete(stored.digest, before=before))
        if goes:
            report.artifacts += 1
            report.bytes += stored.size
            report.add(kind, 1, stored.size)
        else:
            report.spared += 1
            report.spared_bytes += stored.size


def _kind(project: Project, digest: str) -> str:
    """What an object is that no run names any more: by its first bytes, where these are at hand."""
    if not isinstance(project.store, LocalStore):
        return "artifacts"
    return "frames" if project.store.head(digest) == b"ARROW1" else "models, code and other results"


def _sweep_workspace(project: Project, report: Collected, before: float, *, dry_run: bool) -> None:
    """Remove half-written files and copies that attempts left when they were killed."""
    left = [p for p in project.store.workspace().iterdir() if _is_old(p, before) and not _is_used(p)]
    # What servers were being sent when they were killed: by the file's age, as one that still comes is written to.
    left += [file.parent for file in (project.state_dir / "uploads").glob("*/*") if _is_old(file, before)]
    if left:
        report.reasons.append(f"{len(left)} leftovers of attempts that were killed")
    for path in [] if dry_run else left:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _is_old(path: Path, before: float) -> bool:
    """Whether a file is there, and was last changed before a moment: those of runs that go on come and go."""
    try:
        return path.lstat().st_mtime <= before
    except FileNotFoundError:
        return False


def _is_used(path: Path) -> bool:
    """Whether it is the folder of an attempt (`attempt-PID`) that may still run, however long ago it began."""
    kind, _, pid = path.name.partition("-")
    if kind != "attempt" or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _sweep_tables(
    project: Project, needed: Needed, report: Collected, before: float, clock: Clock, *, dry_run: bool
) -> None:
    for name in project.tables.names():
        keep = needed.tables.get(name, set())
        try:
            cleaned = project.tables.clean(name, keep, grace=clock.now() - before, dry_run=dry_run)
        except StorageError as error:
            report.reasons.append(f"table {name} was left alone: {error.what}")
            continue
        report.table_files += len(cleaned.removed)
        report.bytes += cleaned.bytes
        report.add("files of old table versions", len(cleaned.removed), cleaned.bytes)
        report.spared += cleaned.young
        report.spared_bytes += cleaned.young_bytes
