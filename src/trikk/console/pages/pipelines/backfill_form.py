"""The form that has a pipeline run for each day of a period."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from trikk.console.page_view import View
from trikk.console.pages.pipelines.parameter_fields import parameter_fields
from trikk.console.pages.pipelines.start_form import declared, last_runs, refusal
from trikk.core.errors import TrikkError
from trikk.pipeline.graph import Graph
from trikk.pipeline.pipeline import checked_parameters
from trikk.server.http.doors import Doors
from trikk.server.http.handlers.backfill_handlers import NewBackfill
from trikk.server.http.routes import Call
from trikk.server.site import Site


def show_backfill_form(doors: Doors, call: Call) -> View:
    """Show the form that begins a backfill."""
    name = call.path["pipeline"]
    zone = ZoneInfo(doors.site.project.settings.timezone)
    today = datetime.fromtimestamp(doors.site.clock.now(), zone).date().isoformat()
    asked = NewBackfill(pipelines=(name,), first=today, last=today)
    return _form(doors.site, declared(doors.site, name), asked)


def backfill_again(doors: Doors, call: Call, error: TrikkError) -> View:
    """Show the form with what was typed, and why it was refused."""
    return _form(doors.site, declared(doors.site, call.path["pipeline"]), call.body, error)


def _form(site: Site, graph: Graph, asked: NewBackfill, error: TrikkError | None = None) -> View:
    name = graph.pipeline
    days = [spec.name for spec in graph.parameters if spec.kind.name == "date"]
    # The parameter that takes the day needs no field: the one that there is, or the one that is chosen.
    day = asked.parameter or (days[0] if days else "")
    wrong: dict[str, str] = {}
    if error is not None:
        filled = {**asked.parameters, **({day: asked.first} if day else {})}
        wrong = checked_parameters(graph, filled, text=True)[1]
    document = {"pipeline": name, "parameters": [spec.to_json() for spec in graph.parameters], "wrong": wrong}
    context: dict[str, Any] = {
        "asked": asked,
        "days": days,
        "day": day,
        "fields": parameter_fields(
            graph, last_runs(site, name), asked.parameters, wrong, but=[day] if day else []
        ),
        "refusal": refusal(error, wrong),
        "line": f"trikk backfill {name} --from DAY --to DAY --queue",
    }
    return View(
        f"Backfill {name}",
        "pipelines/backfill_form.html.j2",
        document,
        context,
        trail=[("Pipelines", "/pipelines"), (name, f"/pipelines/{name}")],
        commands=[("The same:", context["line"])],
    )
