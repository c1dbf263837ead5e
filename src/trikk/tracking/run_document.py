"""One run as programs get it: from `trikk show --json` and from the server alike."""

from __future__ import annotations

from typing import Any

from trikk.core.errors import TrikkError, UnknownName
from trikk.core.values import JSON
from trikk.execution.project import Project
from trikk.execution.upkeep.run_costs import cost_of
from trikk.runs.run_state import RunState, TaskState
from trikk.storage.artifact import Artifact
from trikk.tracking.fold import RunRecord, read_record


def run_document(project: Project, run: str, now: float) -> dict[str, JSON]:
    """A run's state, what it cost up to `now` (seconds since 1970), and what its steps have logged.

    Raises:
        UnknownName: if there is no such run.
    """
    events = project.journal.events(run)
    return state_document(
        project, project.state_after(run, events), read_record(project.journal, run, events), now
    )


def state_document(project: Project, state: RunState, record: RunRecord, now: float) -> dict[str, JSON]:
    """The same of a run whose state, and what its steps have logged, have been read already."""
    cost = cost_of(project, state.id, now)
    priced: dict[str, JSON] = {"cost": cost.to_json()} if cost else {}
    return {**state.to_json(), **priced, **record.to_json()}


def step_document(project: Project, state: RunState, text: str) -> dict[str, JSON]:
    """A step (`fit`) or an item of one (`fit[3]`), with schema and first rows of what it made."""
    step = task_named(state, text)
    previews: list[JSON] = [preview_of(project, output) for output in step.outputs or []]
    return {"run": state.id, "name": text, **step.to_json(), "previews": previews}


def task_named(state: RunState, text: str) -> TaskState:
    """The step, or the item of one, that is called so; UnknownName if there is none."""
    name, _, item = text.partition("[")
    if name not in state.steps:
        raise UnknownName("step", name, state.steps)
    step = state.steps[name]
    if not item:
        return step
    items: dict[str, TaskState] = {f"{name}[{i}]": task for i, task in step.items.items()}
    if text not in items:
        raise UnknownName("item", text, items)
    return items[text]


def preview_of(project: Project, output: dict[str, Any]) -> dict[str, Any]:
    """The schema and the first rows of what a step made."""
    try:
        return dict(project.artifacts.preview(Artifact.read(output)))
    except TrikkError as error:
        # What is stored may be gone; what was written down of it is still worth showing.
        return {**output["summary"], "error": error.what}
