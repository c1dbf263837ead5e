"""All pipelines, each with how it is doing."""

from __future__ import annotations

from trikk.console.page_view import Sheet, View
from trikk.console.pages.pipelines.pipeline_lines import bars_each, pipeline_lines
from trikk.server.http.doors import Doors
from trikk.server.http.routes import Call

_BARS = 20  # of a pipeline at most


def show_pipelines(doors: Doors, _: Call) -> View:
    """Show all pipelines: what they do, how their last runs went, when they are due."""
    site, now = doors.site, doors.site.clock.now()
    lines = pipeline_lines(site, now)
    rows = [line.to_json() for line in lines]
    document = {
        "pipelines": rows,
        "trouble": site.code.trouble and site.code.trouble.to_json(),
    }
    bars = bars_each(len(lines), _BARS)

    def sheet() -> Sheet:
        columns = ("pipeline", "steps", "state", "success", "next", "paused")
        return Sheet(columns, [[line[name] for name in columns] for line in rows])

    return View(
        "Pipelines",
        "pipelines/pipelines.html.j2",
        document,
        {
            "lines": [(line, line.bars(now, bars, width=160)) for line in lines],
            "bars": bars,
            "trouble": site.code.trouble,
        },
        sheets={"pipelines": sheet},
        live="project",
        commands=[("List them:", "trikk pipelines"), ("Run one:", "trikk run NAME -p PARAMETER=VALUE")],
    )
