"""One pipeline: its runs, its graph, how long its steps take, what starts it, its code and its backfills."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from trikk.console.page_view import Sheet, View
from trikk.console.pages.pipelines.pipeline_code import definition
from trikk.console.pages.pipelines.pipeline_graph import pipeline_picture
from trikk.console.pages.pipelines.pipeline_lines import PipelineLine, pipeline_lines
from trikk.console.pages.pipelines.step_durations import durations_chart, step_durations
from trikk.console.pages.runs.run_listing import RunsWanted, listed_runs, runs_sheet
from trikk.core.errors import TrikkError, UnknownName
from trikk.execution.backfills.backfill_ledger import every, states_of
from trikk.execution.backfills.backfill_state import summary
from trikk.runs.states import RunStatus
from trikk.server.http.doors import Doors
from trikk.server.http.routes import Call
from trikk.server.queue.queue_view import why_waiting
from trikk.server.schedule.trigger_view import trigger_details
from trikk.server.site import Site

if TYPE_CHECKING:
    from trikk.pipeline.graph import Graph

_WAITING = 50  # runs that wait, in a list
_BACKFILLS = 20


class Tab(StrEnum):
    """The parts of the page."""

    RUNS = "runs"
    DURATIONS = "durations"
    SCHEDULE = "schedule"
    DEFINITION = "definition"
    BACKFILLS = "backfills"


class PipelinePageQuery(RunsWanted, frozen=True):
    """What of a pipeline is shown, and which of its runs."""

    tab: Tab = Tab.RUNS


def show_pipeline(doors: Doors, call: Call) -> View:
    """Show one pipeline."""
    site, query, name = doors.site, call.query, call.path["pipeline"]
    now = site.clock.now()
    (line,) = pipeline_lines(site, now, [name])
    graph = graph_of(site, line)
    shown, context = _TABS[query.tab](site, line, graph, query)
    parameters = [spec.to_json() for spec in graph.parameters] if graph else []
    document: dict[str, Any] = {**line.to_json(), "parameters": parameters, **shown}
    return View(
        name,
        "pipelines/pipeline.html.j2",
        document,
        {
            "line": line,
            "bars": line.bars(now, width=320),
            "tabs": list(Tab),
            "tab": query.tab,
            "graph": graph,
            "is_declared": line.graph is not None,
            "trouble": site.code.trouble,
            "now": now,
            **context,
        },
        sheets={
            **_sheets(document),
            **({"runs": partial(runs_sheet, site, name, query)} if query.tab == Tab.RUNS else {}),
        },
        trail=[("Pipelines", "/pipelines")],
        live="project",
        commands=[
            ("Run it:", " ".join(["trikk run", name, *_required(graph)])),
            ("Its runs:", f"trikk runs --pipeline {name}"),
            ("Each day of a period:", f"trikk backfill {name} --from DAY --to DAY"),
        ],
    )


def graph_of(site: Site, line: PipelineLine) -> Graph | None:
    """A pipeline's graph: as it is declared, or as its newest run had it; None if nobody knows it any more.

    Raises:
        UnknownName: if there is no such pipeline, and never was.
        TrikkError: if nobody knows, since the code does not load.
    """
    if line.graph is not None:
        return line.graph
    if not line.runs:
        raise UnknownName("pipeline", line.name, site.graphs())
    try:
        return site.project.graph(site.project.run(line.runs[0].id))
    except TrikkError:
        return None


def _required(graph: Graph | None) -> list[str]:
    return [f"-p {spec.name}=..." for spec in graph.parameters if spec.required] if graph else []


Shown = tuple[dict[str, Any], dict[str, Any]]
"""What a tab adds to the document, and to what the template knows."""


def _runs(site: Site, line: PipelineLine, graph: Graph | None, query: PipelinePageQuery) -> Shown:
    document, context = listed_runs(site, line.name, query)
    return document, {**context, "picture": pipeline_picture(graph) if graph else None}


def _durations(site: Site, line: PipelineLine, _: Graph | None, __: PipelinePageQuery) -> Shown:
    steps = step_durations(site.project.journal, line.runs)
    chart = durations_chart(line, steps, ZoneInfo(site.project.settings.timezone)) if steps else None
    return {"durations": [step.to_json() for step in steps]}, {"chart": chart}


def _schedule(site: Site, line: PipelineLine, _: Graph | None, __: PipelinePageQuery) -> Shown:
    journal, now = site.project.journal, site.clock.now()
    known = site.known_triggers()
    details = [
        trigger_details(journal, known[row.name], now).to_json() for row in line.triggers if not row.trouble
    ]
    rows = [
        row
        for state in (RunStatus.WAITING, RunStatus.QUEUED)
        for row in journal.runs(pipeline=line.name, state=state, limit=_WAITING)
    ]
    reasons = why_waiting(site.project, now, [row.id for row in rows]) if rows else {}
    waits = [{"id": r.id, "state": str(r.state), "created": r.created, "why": reasons.get(r.id, "")} for r in rows]
    return {"triggers": details, "waits": waits}, {}


def _definition(site: Site, line: PipelineLine, graph: Graph | None, _: PipelinePageQuery) -> Shown:
    if graph is None:
        return {"definition": None}, {"sources": []}
    sources = definition(site.project.settings, graph) if line.graph is not None else []
    return {"definition": graph.to_json()}, {"sources": sources}


def _backfills(site: Site, line: PipelineLine, _: Graph | None, __: PipelinePageQuery) -> Shown:
    journal = site.project.journal
    own = [each for each in every(journal) if line.name in each.declaration.pipelines][:_BACKFILLS]
    return {"backfills": [summary(each, states_of(journal, each)) for each in own]}, {}


_TABS: Mapping[Tab, Callable[[Site, PipelineLine, Any, PipelinePageQuery], Shown]] = {
    Tab.RUNS: _runs,
    Tab.DURATIONS: _durations,
    Tab.SCHEDULE: _schedule,
    Tab.DEFINITION: _definition,
    Tab.BACKFILLS: _backfills,
}


def _sheets(document: Mapping[str, Any]) -> dict[str, Callable[[], Sheet]]:
    columns = {
        "durations": ("step", "runs", "last", "median", "longest"),
        "waits": ("id", "state", "created", "why"),
        "backfills": ("id", "from", "to", "state", "total", "done", "failed", "left"),
    }

    def sheet(part: str) -> Callable[[], Sheet]:
        return lambda: Sheet(columns[part], [[row[name] for name in columns[part]] for row in document[part]])

    return {part: sheet(part) for part in columns if part in document}
