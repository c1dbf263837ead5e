"""What a run's code is, file by file, and how it differs from another run's or from the project's folder as it is.

Everything is read from the code bundles, which are stored by content: files of one digest are not opened.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from msgspec import field

from trikk.core.errors import ProjectError, RunError, TrikkError
from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.execution.project import Project
from trikk.runs.bundle import contents, manifest
from trikk.runs.lock import differences
from trikk.runs.run_state import RunState

FOLDER = "folder"
"""Instead of a run's id: the project's code as it is now."""
_LINES, _BYTES = 5000, 500_000  # of a file that is compared line by line
_MOST = 1_000_000  # characters of all differences together
_LOOK_BACK = 50  # runs among which the one before is looked for


class FileChange(StrEnum):
    """What has become of a file."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class ChangedFile(Record, frozen=True):
    """One file that differs.

    Attributes:
        path: within the project.
        change: what has become of it.
        diff: its differing lines as a unified diff; "" where it is no text, or they are too many.
        before: digest of its content before, None if it was not there; after: likewise, as it is in the run.
    """

    path: str
    change: FileChange
    diff: str
    before: str | None
    after: str | None


class CodeChanges(Record, frozen=True):
    """How one run's code and packages differ from what they are compared with.

    Attributes:
        run: the run.
        since: the run that it is compared with, or "folder"; None if there is no earlier one.
        files: those that differ, by path.
        packages: those that differ, as "polars 1.9 -> 2.1".
    """

    run: str
    since: str | None
    files: list[ChangedFile] = field(default_factory=list)
    packages: list[str] = field(default_factory=list)


def locked_inputs(project: Project, run: str) -> dict[str, JSON]:
    """What a run is locked to, with the files of its code (path to digest) and its packages (name to version).

    What clean-up has removed is empty.

    Raises:
        UnknownName: if there is no such run.
        RunError: if it was never locked.
    """
    state = _locked(project, run)
    files: JSON = _or_nothing(lambda: contents(project.store, state.lock["code"]))
    packages: JSON = dict(packages_of(project, state.lock))
    return {"run": run, "environment": state.environment, "lock": state.lock, "files": files, "packages": packages}


def code_changes(project: Project, run: str, since: str | None = None) -> CodeChanges:
    """Compare a run's code with that of another run, or with the folder's: what has changed there since.

    Args:
        project: the project.
        run: the run's id.
        since: another run's id, or `FOLDER`; the run of the same pipeline before it if None.

    Raises:
        UnknownName: if there is no such run.
        RunError: if one was never locked.
        ProjectError: if the folder's code can't be read.
        ArtifactMissing: if clean-up has removed the code of one.
    """
    state = _locked(project, run)
    if since == FOLDER:
        old = contents(project.store, state.lock["code"])
        try:
            new = manifest(project.root, project.settings.code)
            return CodeChanges(run, FOLDER, _changed(old, new, _stored(project), _in_folder(project)))
        except OSError as error:  # such as a file that an editor is just replacing
            raise ProjectError(f"the project's code can't be read: {error}", next="look again") from error
    before = since or _before(project, state)
    if before is None:
        return CodeChanges(run, None)
    other = _locked(project, before)
    old, new = (contents(project.store, lock["code"]) for lock in (other.lock, state.lock))
    read = _stored(project)
    changed = differences(packages_of(project, other.lock), packages_of(project, state.lock))
    return CodeChanges(run, before, _changed(old, new, read, read), changed)


def packages_of(project: Project, lock: Mapping[str, Any]) -> dict[str, str]:
    """Names and versions of the packages of a lock; none if the list is gone."""
    digest = str(lock.get("packages", ""))
    packages: dict[str, str] = _or_nothing(lambda: project.read_json(digest) if digest else {})
    return packages


def _locked(project: Project, run: str) -> RunState:
    state = RunState.fold(run, project.journal.events(run))
    if "code" not in state.lock:
        raise RunError(
            f"run {run} has not been locked to any code", next="look at one that has started: trikk runs"
        )
    return state


def _before(project: Project, state: RunState) -> str | None:
    """The run of the same pipeline before one that has started."""
    rows = project.journal.runs(pipeline=state.pipeline, before=state.id, limit=_LOOK_BACK)
    return next((row.id for row in rows if row.started is not None and not row.forgotten), None)


_Read = Callable[[str, str], bytes]
"""The bytes of a file by its path and digest."""


def _stored(project: Project) -> _Read:
    return lambda _, digest: project.store.fetch(digest).read_bytes()


def _in_folder(project: Project) -> _Read:
    return lambda path, _: (project.root / path).read_bytes()


def _changed(
    old: Mapping[str, str], new: Mapping[str, str], read_old: _Read, read_new: _Read
) -> list[ChangedFile]:
    changed, room = [], _MOST
    for path in sorted({*old, *new}):
        before, after = old.get(path), new.get(path)
        if before == after:
            continue
        kind = FileChange.ADDED if before is None else FileChange.REMOVED if after is None else FileChange.CHANGED
        diff = ""
        if room > 0:
            old_bytes = b"" if before is None else read_old(path, before)
            diff = _diff(path, old_bytes, b"" if after is None else read_new(path, after))
            room -= len(diff)
        changed.append(ChangedFile(path, kind, diff if room >= 0 else "", before, after))
    return changed


def _diff(path: str, old: bytes, new: bytes) -> str:
    if max(len(old), len(new)) > _BYTES:
        return ""
    try:
        before, after = old.decode().splitlines(), new.decode().splitlines()
    except UnicodeDecodeError:
        return ""
    if max(len(before), len(after)) > _LINES:
        return ""
    return "\n".join(difflib.unified_diff(before, after, path, path, lineterm=""))


def _or_nothing(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except TrikkError:  # clean-up has removed it
        return {}
