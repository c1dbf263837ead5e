"""One run: its graph and course, its steps, what it made, what it was locked to, and what can be done with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from trikk.console.page_view import Sheet, View
from trikk.console.pages.pipelines.pipeline_graph import pipeline_picture
from trikk.console.pages.runs.error_source import lines_around
from trikk.console.pages.runs.run_course import course_picture
from trikk.console.pages.runs.runs_memory import RunRead, read_run
from trikk.core.errors import TrikkError
from trikk.execution.code.code_changes import FOLDER, code_changes, locked_inputs
from trikk.execution.replay import comparison_of
from trikk.execution.upkeep.next_command import way_on
from trikk.execution.workers.traces import headline
from trikk.runs.states import OVER, RunStatus
from trikk.server.http.doors import Doors
from trikk.server.http.handlers.run_handlers import document_with_waits
from trikk.server.http.routes import NAME, Call, Given
from trikk.tracking.lineage import lineage
from trikk.tracking.run_artifacts import outputs

if TYPE_CHECKING:
    from trikk.execution.project import Project
    from trikk.runs.run_state import RunState

_OUTPUTS, _METRICS = 200, 30  # that are shown at most; the API, and the table to take along, have all


class Tab(StrEnum):
    """What of a run is shown."""

    STEPS = "steps"
    OUTPUTS = "outputs"
    INPUTS = "inputs"
    CODE = "code"
    LINEAGE = "lineage"
    REPLAY = "replay"


class RunPageQuery(Given, frozen=True):
    """What of a run is shown, and what its code is compared with."""

    tab: Tab = Tab.STEPS
    since: Annotated[str, Meta(pattern=NAME)] | None = None


@dataclass(frozen=True, slots=True)
class _Shown:
    """A run as it is read for one look at its page."""

    project: Project
    doors: Doors
    run: RunRead


def show_run(doors: Doors, call: Call) -> View:
    """Show one run."""
    query: RunPageQuery = call.query
    project, run = doors.site.project, call.path["run"]
    read = read_run(project, run)
    state, graph = read.state, read.graph
    document = without_items(document_with_waits(doors, state, read.record))
    part, trouble = _part(lambda: _PARTS[query.tab](_Shown(project, doors, read), query))
    is_over = state.state in OVER
    failed = [
        step for step in document["steps"] if step["error"] and step["state"] not in ("succeeded", "skipped")
    ]
    is_open_to_resume = state.state in (RunStatus.FAILED, RunStatus.CANCELLED) and not state.forgotten
    context = {
        "course": course_picture(state, read.attempts, doors.site.clock.now()) if query.tab is Tab.STEPS else None,
        "graph": pipeline_picture(graph, state) if query.tab is Tab.STEPS and graph is not None else None,
        "tab": query.tab,
        "tabs": [tab for tab in Tab if tab is not Tab.REPLAY or state.origin.get("kind") == "replay"],
        "part": part,
        "before": next((row.id for row in project.journal.runs(pipeline=state.pipeline, before=run, limit=1)), ""),
        "trouble": trouble,
        "is_over": is_over,
        "failed": failed,
        "headline": headline,
        "source_of": partial(lines_around, project, state),
        "way_on": way_on(project, state) if is_open_to_resume else "",
        "open_approvals": [one for one in document["approvals"] if one["approved"] is None],
        "shown_metrics": document["metrics"][:_METRICS],
    }
    return View(
        f"{state.pipeline} {run}",
        "runs/run.html.j2",
        {"run": document, query.tab.value: part},
        context,
        {
            "steps": lambda: _steps_sheet(document),
            "metrics": lambda: Sheet(("name", "step", "value", "count"), map(_values, document["metrics"])),
        },
        [("Runs", "/runs"), (state.pipeline, f"/pipelines/{state.pipeline}")],
        "project" if is_over else run,
        _commands(run, state),
    )


def without_items(document: dict[str, Any]) -> dict[str, Any]:
    """A run's document in which a mapped step's items, which may be thousands, are counted by their state."""
    for step in document["steps"]:
        if "items" in step:
            step["item_states"] = dict(Counter(item["state"] for item in step.pop("items")))
    return document


def _part(read: Callable[[], Any]) -> tuple[Any, TrikkError | None]:
    """A part of the page, or why it can't be shown: the rest of the page is shown all the same."""
    try:
        return read(), None
    except TrikkError as error:
        return None, error


def _steps(shown: _Shown, _: RunPageQuery) -> dict[str, Any]:
    return {"attempts": [attempt.to_json() for attempt in shown.run.attempts]}


def _outputs(shown: _Shown, _: RunPageQuery) -> dict[str, Any]:
    listed = outputs(shown.run.state, shown.run.record)
    return {"count": len(listed), "artifacts": [output.to_json() for output in listed[:_OUTPUTS]]}


def _inputs(shown: _Shown, _: RunPageQuery) -> dict[str, Any]:
    return locked_inputs(shown.project, shown.run.state.id)


def _code(shown: _Shown, query: RunPageQuery) -> dict[str, Any]:
    changes = code_changes(shown.project, shown.run.state.id, query.since).to_json()
    return changes | {"folder": FOLDER}


def _lineage(shown: _Shown, _: RunPageQuery) -> dict[str, Any]:
    return lineage(shown.project, shown.doors.site.models, shown.run.state.id).to_json()


def _replay(shown: _Shown, _: RunPageQuery) -> dict[str, Any]:
    return comparison_of(shown.project, shown.run.state.id).to_json()


_PARTS: dict[Tab, Callable[[_Shown, RunPageQuery], dict[str, Any]]] = {
    Tab.STEPS: _steps,
    Tab.OUTPUTS: _outputs,
    Tab.INPUTS: _inputs,
    Tab.CODE: _code,
    Tab.LINEAGE: _lineage,
    Tab.REPLAY: _replay,
}


def _values(metric: dict[str, Any]) -> list[Any]:
    return [metric["name"], metric["step"], metric["value"], metric["count"]]


def _steps_sheet(document: dict[str, Any]) -> Sheet:
    columns = ("name", "state", "attempts", "started", "ended", "seconds", "peak_memory", "reused", "reason")
    return Sheet(columns, ([step[name] for name in columns] for step in document["steps"]))


def _commands(run: str, state: RunState) -> list[tuple[str, str]]:
    commands = [("Show it:", f"trikk show {run}"), ("What it printed:", f"trikk logs {run}")]
    if state.state in OVER:
        commands.append(("Run some steps again:", f"trikk resume {run} --again STEP"))
    else:
        commands.append(("Follow it:", f"trikk logs {run} --follow"))
    return commands
