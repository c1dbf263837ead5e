"""Whether the project's code is still a run's own, and where that can be imported from."""

from __future__ import annotations

import tomllib
from pathlib import Path

from trikk.core.errors import RunError, StorageError
from trikk.core.settings import FILE
from trikk.execution.project import Project
from trikk.runs.bundle import bundle_digest, contents, manifest, restore
from trikk.runs.run_state import RunState


def changed_files(project: Project, state: RunState) -> list[str]:
    """The code files that are not what they were when the run was locked: changed, new (+) or gone (-)."""
    if not state.is_locked:
        return []
    now = manifest(project.root, project.settings.code)
    if bundle_digest(now) == state.lock.get("code"):
        return []
    then = contents(project.store, str(state.lock["code"]))
    if _is_kept_elsewhere(project, then.get(FILE)):
        then[FILE] = now[FILE]
        if then == now:
            return []
    marks = [
        f"{'+' if name not in then else '-' if name not in now else ''}{name}"
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]
    return marks or ["the project's code"]


def _is_kept_elsewhere(project: Project, then: str | None) -> bool:
    """Whether trikk.toml differs in nothing but [storage]: where results are kept makes none of them another."""
    try:
        files = (project.store.fetch(str(then)), project.root / FILE)
        was, now = (tomllib.loads(path.read_text("utf-8")) for path in files)
    except (OSError, StorageError, ValueError):
        return False
    return {**was, "storage": None} == {**now, "storage": None}


def code_changed(run: str, changed: list[str]) -> RunError:
    """The error that names both ways of going on when the code is no longer the run's."""
    shown = ", ".join(changed[:5]) + (", ..." if len(changed) > 5 else "")
    return RunError(
        f"the project's code has changed since run {run}: {shown}",
        next=f"choose which code runs the remaining steps: trikk resume {run} --with-current-code, "
        "or --with-locked-code (the run's own)",
    )


def source_folder(project: Project, state: RunState) -> Path | None:
    """Where a run's own code is: None for the project's folder if nothing changed, else the bundle laid out."""
    if not changed_files(project, state):
        return None
    return restore(project.store, str(state.lock["code"]), project.state_dir / "code")
