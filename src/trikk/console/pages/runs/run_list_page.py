"""All runs: those that are asked for, in the order that is asked for, to be looked at and compared."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from msgspec import Meta

from trikk.console.page_view import View
from trikk.console.pages.runs.run_listing import RunsWanted, listed_runs, runs_sheet
from trikk.runs.states import OVER, RunStatus
from trikk.server.http.doors import Doors
from trikk.server.http.routes import Call

_PIPELINE = "^([A-Za-z][A-Za-z0-9_-]{0,99})?$"


class RunsPageQuery(RunsWanted, frozen=True):
    """Which runs are listed."""

    pipeline: Annotated[str, Meta(pattern=_PIPELINE)] = ""


def show_runs(doors: Doors, call: Call) -> View:
    """Show all runs, or those that are asked for."""
    query: RunsPageQuery = call.query
    site = doors.site
    listed, context = listed_runs(site, query.pipeline, query)
    # Of what goes on, which is never much, and of failures: counting all that has succeeded takes too long.
    counted = [state for state in RunStatus if state not in OVER or state is RunStatus.FAILED]
    journal = site.project.journal
    document: dict[str, Any] = {
        "count": journal.count(),
        "states": {str(state): journal.count(state=state) for state in counted},
        **listed,
    }
    # All that are declared, and one that was asked for and is no more.
    known = sorted({*site.code.current.graphs, *([query.pipeline] if query.pipeline else [])})
    return View(
        "Runs",
        "runs/run_list.html.j2",
        document,
        {**context, "pipelines": known, "is_filtered": context["is_filtered"] or query.pipeline != ""},
        {"runs": partial(runs_sheet, site, query.pipeline, query)},
        live="project",
        commands=[("List them:", "trikk runs"), ("Put some side by side:", "trikk compare RUN RUN")],
    )
