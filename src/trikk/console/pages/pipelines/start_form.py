"""The form that starts a pipeline: its parameters with defaults, or with the values of an earlier run."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Annotated

from msgspec import Meta

from trikk.console.page_view import View
from trikk.console.pages.pipelines.parameter_fields import parameter_fields, texts_of
from trikk.core.errors import TrikkError, UnknownName
from trikk.pipeline.graph import Graph
from trikk.pipeline.pipeline import checked_parameters
from trikk.runs.journals.journal import RunRow
from trikk.server.http.doors import Doors
from trikk.server.http.routes import NAME, Call, Given
from trikk.server.site import Site

_LAST = 30  # runs whose values are suggested
_LIKE = 5  # of them, with different values, that can be taken over as they are


class StartQuery(Given, frozen=True):
    """Whose values the fields get at first."""

    like: Annotated[str, Meta(pattern=NAME)] | None = None  # a run of the pipeline; its defaults if not given


def show_start_form(doors: Doors, call: Call) -> View:
    """Show the form that starts a pipeline."""
    site, name = doors.site, call.path["pipeline"]
    graph = declared(site, name)
    given = {}
    if call.query.like is not None:
        row = site.project.journal.row(call.query.like)
        if row.pipeline != name:
            raise UnknownName(f"run of {name}", row.id, [])
        given = texts_of(graph, row.parameters)
    return _form(site, graph, given)


def start_again(doors: Doors, call: Call, error: TrikkError) -> View:
    """Show the form with what was typed, and why it was refused."""
    graph = declared(doors.site, call.path["pipeline"])
    _, wrong = checked_parameters(graph, call.body.texts, text=True)
    return _form(doors.site, graph, call.body.texts, wrong, error)


def declared(site: Site, name: str) -> Graph:
    """A pipeline as the code declares it; UnknownName if it does not."""
    graphs = site.graphs()
    if name not in graphs:
        raise UnknownName("pipeline", name, graphs)
    return graphs[name]


def last_runs(site: Site, name: str) -> list[RunRow]:
    """The runs whose values a form suggests."""
    return site.project.journal.runs(pipeline=name, limit=_LAST)


def refusal(error: TrikkError | None, wrong: Mapping[str, str]) -> str:
    """What is said above the fields: nothing of what is said beside them."""
    return "" if error is None or wrong else str(error)


def _form(
    site: Site,
    graph: Graph,
    given: Mapping[str, str],
    wrong: Mapping[str, str] | None = None,
    error: TrikkError | None = None,
) -> View:
    name, wrong = graph.pipeline, wrong or {}
    runs = last_runs(site, name)
    parameters = [spec.to_json() for spec in graph.parameters]
    document = {"pipeline": name, "parameters": parameters, "wrong": dict(wrong)}
    line = " ".join(["trikk run", name, *(f"-p {spec.name}=..." for spec in graph.parameters)])
    different = {str(sorted(run.parameters.items())): run for run in reversed(runs)}
    context = {
        "fields": parameter_fields(graph, runs, given, wrong),
        "unknown": {name: why for name, why in wrong.items() if name not in {s.name for s in graph.parameters}},
        "likes": list(islice(sorted(different.values(), key=lambda run: -run.created), _LIKE)),
        "refusal": refusal(error, wrong),
        "line": line,
    }
    return View(
        f"Start {name}",
        "pipelines/start.html.j2",
        document,
        context,
        trail=[("Pipelines", "/pipelines"), (name, f"/pipelines/{name}")],
        commands=[("The same:", line)],
    )
