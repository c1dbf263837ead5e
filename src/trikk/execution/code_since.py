"""Whether the code of a run's finished steps is still what they ran with, helpers in the project included.

A run that was resumed with other code has steps of several bundles. Each bundle is laid out and imported in a host
of its own, and both sides are fingerprinted by the same trikk, so that runs of earlier versions can be compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from trikk.core.errors import TrikkError
from trikk.execution.process import ProcessExecutor
from trikk.execution.project import Project
from trikk.runs import events as e
from trikk.runs.bundle import restore
from trikk.runs.journal import Event


class Since(StrEnum):
    """What has become of a step's code since it ran."""

    SAME = "same"
    CHANGED = "changed"
    UNKNOWN = "unknown"


def bundles_of_steps(events: Iterable[Event]) -> dict[str, set[str]]:
    """For each step the digests of the code bundles that its results, or those of its items, were made with."""
    found: dict[str, set[str]] = {}
    bundle = ""
    for event in events:
        body: Mapping[str, Any] = event.body
        if body.get("lock"):
            bundle = str(body["lock"].get("code", ""))
        elif event.kind in (e.STEP_SUCCEEDED, e.STEP_CACHED):
            found.setdefault(body["step"], set()).add(bundle)
        elif event.kind == e.STEP_INVALIDATED and body.get("item") is None:
            found.pop(body["step"], None)
    return found


def code_since(project: Project, run: str, pipeline: str, now: str) -> dict[str, Since]:
    """For each step of a run with results, whether its code is what it was.

    Args:
        project: the project.
        run: the run's id.
        pipeline: its pipeline.
        now: digest of the bundle of the project's code as it is.
    """
    ran = bundles_of_steps(project.journal.events(run))
    others = set().union(*ran.values()) - {now}
    codes = {bundle: _codes(project, pipeline, bundle) for bundle in others}
    current = _codes(project, pipeline, None) if others else {}
    return {
        step: _since(current.get(step), [codes[bundle].get(step) for bundle in bundles - {now}])
        for step, bundles in ran.items()
    }


def _since(now: str | None, then: Sequence[str | None]) -> Since:
    if all(code == now and code is not None for code in then):
        return Since.SAME
    return Since.UNKNOWN if now is None or None in then else Since.CHANGED


def _codes(project: Project, pipeline: str, bundle: str | None) -> dict[str, str]:
    """The digests of the steps' code in a bundle, or in the project's folder; empty if that can't be imported."""
    try:
        folder: Path | None = None
        if bundle is not None:
            folder = restore(project.store, bundle, project.state_dir / "code")
        executor = ProcessExecutor(project.settings, folder)
    except TrikkError:
        return {}
    try:
        return executor.codes(pipeline) if pipeline in executor.graphs() else {}
    except TrikkError:
        return {}
    finally:
        executor.close()
