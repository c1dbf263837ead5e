"""Whether the code of a run's finished steps is still what they ran with, helpers in the project included.

A run that was resumed with other code has steps of several bundles. Each bundle is laid out and imported in a host
of its own, and both sides are fingerprinted by the same trikk, so that runs of earlier versions can be compared.
A value such as the time of the import is another each time: where steps seem to have changed, the present code is
imported once more, and what differs then too is no change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from msgspec import field

from trikk.core.errors import TrikkError
from trikk.core.record import Record
from trikk.execution.project import Project
from trikk.execution.workers.process_executor import ProcessExecutor
from trikk.runs.bundle import restore
from trikk.runs.events import EventKind
from trikk.runs.journals.journal import Event


class Since(StrEnum):
    """What has become of a step's code since it ran."""

    SAME = "same"
    CHANGED = "changed"
    UNKNOWN = "unknown"


def bundles_of_steps(events: Iterable[Event]) -> dict[str, set[str]]:
    """For each step the digests of the code bundles that its results, or those of its items, were made with."""
    bundles: dict[str, set[str]] = {}
    bundle = ""
    for event in events:
        body: Mapping[str, Any] = event.body
        if body.get("lock"):
            bundle = str(body["lock"].get("code", ""))
        elif event.kind in (EventKind.STEP_SUCCEEDED, EventKind.STEP_CACHED):
            bundles.setdefault(body["step"], set()).add(bundle)
        elif event.kind == EventKind.STEP_INVALIDATED and body.get("item") is None:
            bundles.pop(body["step"], None)
    return bundles


def code_since(project: Project, run: str, pipeline: str, now: str) -> dict[str, Since]:
    """For each step of a run with results, whether its code is what it was.

    Args:
        project: the project.
        run: the run's id.
        pipeline: its pipeline.
        now: digest of the bundle of the project's code as it is.
    """
    ran = bundles_of_steps(project.journal.events(run))
    earlier = set().union(*ran.values()) - {now}
    then = {bundle: _codes(project, pipeline, bundle) for bundle in earlier}
    current = _codes(project, pipeline, None) if earlier else _Codes()
    verdicts = {
        step: [_since(step, current, then[bundle], frozenset()) for bundle in bundles - {now}]
        for step, bundles in ran.items()
    }
    if any(Since.CHANGED in each for each in verdicts.values()):
        restless = current.differences(_codes(project, pipeline, None))
        verdicts |= {
            step: [
                _since(step, current, then[bundle], restless.get(step, frozenset()))
                for bundle in ran[step] - {now}
            ]
            for step, each in verdicts.items()
            if Since.CHANGED in each
        }
    return {step: _worst(each) for step, each in verdicts.items()}


class _Codes(Record, frozen=True):
    """The code of a pipeline's steps.

    Attributes:
        parts: for each step, by name, the digests of what it reaches; empty if it could not be imported.
        imports: digest of what importing the project does, beside defining functions and classes.
    """

    parts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    imports: str = ""

    def differences(self, old: _Codes) -> dict[str, frozenset[str]]:
        """For each step in both the names of parts that differ."""
        return {
            step: _differing(parts, old.parts[step]) for step, parts in self.parts.items() if step in old.parts
        }


def _differing(one: Mapping[str, str], old: Mapping[str, str]) -> frozenset[str]:
    return frozenset(name for name in {*one, *old} if one.get(name) != old.get(name))


def _since(step: str, now: _Codes, then: _Codes, restless: frozenset[str]) -> Since:
    """What has become of one step's code; `restless` parts have other values each time the same code is imported.

    What they are made of is compared instead of them, roughly: by what the whole project does when it is imported.
    """
    if step not in now.parts or step not in then.parts:
        return Since.UNKNOWN
    differing = _differing(now.parts[step], then.parts[step])
    if differing - restless or (differing and now.imports != then.imports):
        return Since.CHANGED
    return Since.SAME


def _worst(each: Sequence[Since]) -> Since:
    return next((one for one in (Since.UNKNOWN, Since.CHANGED) if one in each), Since.SAME)


def _codes(project: Project, pipeline: str, bundle: str | None) -> _Codes:
    """The steps' code in a bundle, or in the project's folder; empty if that can't be imported."""
    try:
        folder: Path | None = None
        if bundle is not None:
            folder = restore(project.store, bundle, project.state_dir / "code")
        executor = ProcessExecutor(project.settings, folder)
    except TrikkError:
        return _Codes()
    try:
        return _Codes(*executor.parts(pipeline)) if pipeline in executor.graphs() else _Codes()
    except TrikkError:
        return _Codes()
    finally:
        executor.close()
