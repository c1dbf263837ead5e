"""One step of a run, or an item of a mapped one: its log, what it was given and what it made."""

from __future__ import annotations

import shlex
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from trikk.console.page_view import Sheet, View
from trikk.console.pages.artifacts.artifact_preview import preview
from trikk.console.pages.runs.error_source import lines_around
from trikk.console.pages.runs.runs_memory import read_run
from trikk.console.pages.runs.step_inputs import inputs_of
from trikk.console.pages.runs.step_log import log_path, read_log
from trikk.execution.workers.traces import headline
from trikk.runs.run_state import output_name
from trikk.runs.states import OVER, StepStatus
from trikk.server.http.doors import Doors
from trikk.server.http.routes import Call, Given
from trikk.storage.artifact import Artifact
from trikk.tracking.run_document import task_named

if TYPE_CHECKING:
    from trikk.execution.project import Project
    from trikk.runs.run_state import StepState, TaskState
    from trikk.tracking.fold import RunRecord

_ITEMS = 100  # on a page
_LOGGED, _FIGURES = 100, 12


class StepPageQuery(Given, frozen=True):
    """Which attempt's log of a step is shown, and which of its items.

    `find` is looked for in the log; `state` is that of items, and `after` the position behind which they begin.
    """

    attempt: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    find: Annotated[str, Meta(max_length=200)] = ""
    state: StepStatus | None = None
    after: Annotated[int, Meta(ge=-1, le=1_000_000_000)] = -1


def show_step(doors: Doors, call: Call) -> View:
    """Show a step of a run, or an item of one."""
    query: StepPageQuery = call.query
    project, run, name = doors.site.project, call.path["run"], call.path["step"]
    read = read_run(project, run)
    state = read.state
    task = task_named(state, name)
    step = name.partition("[")[0]
    whole = state.steps[step]
    is_mapped = whole.count is not None and step == name
    node = read.graph.nodes.get(step) if read.graph is not None else None
    attempt = min(query.attempt or task.attempts, task.attempts)
    log = None
    if not is_mapped and task.attempts:
        log = {"attempt": attempt, **read_log(log_path(project.settings.state, run, name, attempt), query.find)}
    document: dict[str, Any] = {
        "run": run,
        "pipeline": state.pipeline,
        "step": {"name": name, **task.to_json()},
        "log": log,
        "inputs": [] if node is None else inputs_of(node, state, name),
        "outputs": [_output(project, name, place, task, data) for place, data in enumerate(task.outputs or [])],
        "node": None if node is None else node.to_json(),
    }
    if is_mapped:
        document["items"] = _items(whole, query)
    else:
        document["logged"] = _logged(project, read.record, name)
    shown = {
        "headline": headline,
        "source": lines_around(project, state, document["step"]),
        "is_mapped": is_mapped,
        "is_over": task.state not in (StepStatus.RUNNING, StepStatus.RETRYING, StepStatus.WAITING),
        "run_state": state.state,
    }
    quoted, above = shlex.quote(name), f"/runs/{run}"
    trail = [("Runs", "/runs"), (f"{state.pipeline} {run}", above)]
    trail += [(step, f"{above}/steps/{step}")] if step != name else []
    return View(
        f"{name} of {state.pipeline} {run}",
        "runs/step.html.j2",
        document,
        shown,
        {"items": lambda: _items_sheet(whole)} if is_mapped else {},
        trail,
        "project" if state.state in OVER else run,
        [("Show it:", f"trikk show {run} {quoted}"), ("What it printed:", f"trikk logs {run} {quoted}")],
    )


def _output(project: Project, name: str, place: int, task: TaskState, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": output_name(name, place, len(task.outputs or [])),
        "artifact": data,
        "preview": preview(project, Artifact.read(data)),
    }


def _items(step: StepState, query: StepPageQuery) -> dict[str, Any]:
    """A page of a mapped step's items, and how many there are in each state."""
    wanted = (
        (number, task)
        for number, task in sorted(step.items.items())
        if number > query.after and (query.state is None or task.state == query.state)
    )
    page = [(number, task) for number, task in islice(wanted, _ITEMS + 1)]
    return {
        "count": step.count,
        "states": dict(Counter(task.state for task in step.items.values())),
        "items": [
            {"item": number, "headline": headline(task.error) if task.error else "", **task.to_json()}
            for number, task in page[:_ITEMS]
        ],
        "next": page[_ITEMS - 1][0] if len(page) > _ITEMS else None,
    }


def _items_sheet(step: StepState) -> Sheet:
    columns = ("state", "attempts", "started", "ended", "seconds", "peak_memory")
    rows = ((number, *(getattr(task, name) for name in columns)) for number, task in sorted(step.items.items()))
    return Sheet(("item", *columns), rows)


def _logged(project: Project, record: RunRecord, name: str) -> dict[str, Any]:
    """What a step, or an item of one, has logged: metrics, and artifacts, of which the first figures are shown."""
    logged: Any = record.to_json()
    mine = {kind: [entry for entry in logged[kind] if entry["step"] == name] for kind in ("metrics", "artifacts")}
    mine["artifacts"] = mine["artifacts"][:_LOGGED]
    figures = 0
    for entry in mine["artifacts"]:
        figures += entry["kind"] == "figure"
        is_shown = entry["kind"] == "figure" and figures <= _FIGURES
        entry["preview"] = preview(project, Artifact.read(entry["artifact"])) if is_shown else None
    return mine
