"""What runs took and cost, by pipeline, step, run, branch or model version."""

from __future__ import annotations

from msgspec import structs

from trikk.console.page_view import Sheet, View
from trikk.execution.upkeep.cost_report import By
from trikk.server.http.doors import Doors
from trikk.server.http.handlers.run_handlers import show_costs
from trikk.server.http.routes import Call


def show_costs_page(doors: Doors, call: Call) -> View:
    """Show what the runs took and cost that have ended since a day."""
    report = show_costs(doors, call).document

    def sheet() -> Sheet:
        columns = [field.name for field in structs.fields(report.total)]
        return Sheet(columns, [structs.astuple(line) for line in report.lines])

    since = f" --since {call.query.since}" if call.query.since else ""
    return View(
        "Costs",
        "costs/costs.html.j2",
        report.to_json(),
        {"by": call.query.by, "ways": list(By), "since": call.query.since or ""},
        sheets={"costs": sheet},
        commands=[("The same:", f"trikk costs --by {call.query.by}{since}")],
    )
