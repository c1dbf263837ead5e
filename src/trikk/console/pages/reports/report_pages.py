"""Reports: when each is due and was made, to whom its pages have come, and the pages themselves."""

from __future__ import annotations

from typing import Any

import msgspec

from trikk.console.page_view import Sheet, View
from trikk.core.errors import TrikkError, UnknownName
from trikk.reports.report_records import ReportLine
from trikk.reports.report_view import PREFIX
from trikk.server.http.doors import Doors
from trikk.server.http.handlers.project.notice_handlers import list_deliveries, list_reports
from trikk.server.http.routes import Call

_COLUMNS = [field.name for field in msgspec.structs.fields(ReportLine)]
_DELIVERED = ("period", "customer", "run", "reached", "outstanding", "refused")


def show_reports(doors: Doors, call: Call) -> View:
    """Show all reports: when each is due, was made, and what has not come to everybody yet."""
    try:
        reports, trouble = [line.to_json() for line in list_reports(doors, call).document.reports], None
    except TrikkError as error:  # the project's code, or its section on reports
        reports, trouble = [], error.to_json()

    def sheet() -> Sheet:
        return Sheet(_COLUMNS, [[_flat(report[name]) for name in _COLUMNS] for report in reports])

    return View(
        "Reports",
        "reports/reports.html.j2",
        {"reports": reports, "trouble": trouble},
        sheets={"reports": sheet},
        live="project",
        commands=[("List them:", "trikk report"), ("Send what is outstanding:", "trikk report --retry")],
    )


def show_report(doors: Doors, call: Call) -> View:
    """Show one report: its newest page, or that of a period and customer, and to whom each has come."""
    name, query = call.path["report"], call.query
    lines = {line.name: line for line in list_reports(doors, call).document.reports}
    if name not in lines:
        raise UnknownName("report", name, lines)
    deliveries = [_delivery(each.to_json()) for each in list_deliveries(doors, call).document.deliveries]

    def sheet() -> Sheet:
        return Sheet(_DELIVERED, [[_flat(each[column]) for column in _DELIVERED] for each in deliveries])

    return View(
        lines[name].title or name,
        "reports/report.html.j2",
        {"report": lines[name].to_json(), "deliveries": deliveries},
        {"period": query.period, "customer": query.customer, "pipeline": PREFIX + name},
        sheets={"deliveries": sheet},
        trail=[("Reports", "/reports")],
        live="project",
        commands=[("Make it:", f"trikk report {name} --for PERIOD"), ("Send it:", f"trikk report {name} --send")],
    )


def _delivery(each: dict[str, Any]) -> dict[str, Any]:
    """A page's delivery, with how many wait for it still."""
    settled = {*each["reached"], *each["refused"]}
    return {**each, "outstanding": [person for person in each["recipients"] if person not in settled]}


def _flat(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list | dict) else value
