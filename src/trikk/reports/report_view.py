"""Reports as people and programs see them: what is declared, due and made, and to whom it has come."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trikk.core.errors import UnknownName
from trikk.execution.project import Project
from trikk.reports.due_reports import moments
from trikk.reports.page.render import PAGE
from trikk.reports.report_config import has_server, report_settings
from trikk.reports.report_definition import ReportSpec
from trikk.reports.report_records import Delivered, ReportLine
from trikk.reports.sending.deliveries import Delivery
from trikk.reports.sending.send_pages import subscribers
from trikk.runs.journals.journal import RunRow
from trikk.runs.states import RunStatus
from trikk.storage.artifact import Artifact

PREFIX = "report_"
"""What the pipeline is called that makes a report, with the report's name behind it."""
_LOOK_BACK = 200  # runs of a report among which a page is looked for


def report_lines(project: Project, declared: Mapping[str, ReportSpec], now: float) -> list[ReportLine]:
    """All reports: those that the code declares (by name), and those that it did."""
    names = sorted({*declared, *project.journal.children("report/")})
    return [_line(project, name, declared.get(name), now) for name in names]


def deliveries_of(project: Project, report: str) -> list[Delivered]:
    """To whom the pages of a report have come, the latest period first."""
    folded = _deliveries(project, report)
    return [delivered(one) for one in sorted(folded, key=lambda one: (one.period, one.customer), reverse=True)]


def delivered(delivery: Delivery) -> Delivered:
    """To whom a page has come."""
    about = {"report": delivery.report, "period": delivery.period, "run": delivery.run}
    return Delivered.read({**about, **delivery.outcome()})


def page_of(project: Project, report: str, period: str | None, customer: str) -> bytes:
    """A page of a report as it was last made, HTML.

    Args:
        project: the project.
        report: its report.
        period: of which period; the one that was made last if None.
        customer: whose page; "*" for the one on everything.

    Raises:
        UnknownName: if there is no such page.
        ArtifactMissing: if clean-up has removed it.
    """
    rows = project.journal.runs(pipeline=PREFIX + report, state=RunStatus.SUCCEEDED, limit=_LOOK_BACK)
    known: list[str] = []
    for row in rows:
        if row.forgotten or (period is not None and row.parameters.get("period") not in (None, period)):
            continue
        for content, folder in _pages_of(project, row):
            if period in (None, content["period"]) and content["customer"] == customer:
                return (folder / PAGE).read_bytes()
            known.append(f"{content['period']} {content['customer']}")
    raise UnknownName("page", f"{period or 'newest'} {customer}", known, next=f"make it: trikk report {report}")


def _pages_of(project: Project, row: RunRow) -> list[tuple[dict[str, Any], Path]]:
    state = project.run(row.id)
    steps = [state.steps[step] for step in ("collect", "render") if step in state.steps]
    outputs = [step.outputs[0] for step in steps if step.outputs]
    if len(outputs) != len(("collect", "render")):
        return []
    contents, folders = (project.artifacts.load(Artifact.read(output)) for output in outputs)
    return list(zip(contents, folders, strict=True))


def _line(project: Project, name: str, declared: ReportSpec | None, now: float) -> ReportLine:
    last_entry = project.journal.last(f"report/{name}")
    # Of one that the code no longer declares, as it was last made.
    spec: dict[str, Any] = declared.to_json() if declared else last_entry.body if last_entry else {}
    moment = datetime.fromtimestamp(now, UTC)
    due, coming = moments(project.journal, declared, moment) if declared else (None, None)
    last = project.journal.runs(pipeline=PREFIX + name, limit=1)
    # Without the server: a list must not fail because a password is not set here.
    settings = report_settings(project.settings, with_server=False)
    kind = "smtp" if has_server(project.settings) else "file"
    return ReportLine(
        name=name,
        declared=declared is not None,
        title=spec.get("title"),
        period=spec.get("period"),
        monitors=list(spec.get("monitors", [])),
        customers=sorted(spec.get("customers", {})),
        schedule=(spec.get("schedule") or None) if declared else None,
        next=coming.isoformat() if coming else None,
        due=due.isoformat() if due else None,
        made=last[0].created if last else None,
        outstanding=sum(
            len(one.outstanding(kind, subscribers(declared, settings, one.customer, project.journal)))
            for one in _deliveries(project, name)
        ),
    )


def _deliveries(project: Project, report: str) -> list[Delivery]:
    ledger = project.journal
    subjects = ledger.subjects(f"report/{report}/delivery/")
    return [Delivery.fold(subject, ledger.entries(subject)) for subject in subjects]
