"""Requests on what the project tells people: channels of alarms, and reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from trikk.alerts.delivery.channel_records import TestMessage
from trikk.alerts.delivery.channel_view import channels, send_test
from trikk.reports.due_reports import declared
from trikk.reports.report_definition import ReportSpec
from trikk.reports.report_view import delivered, deliveries_of, page_of, report_lines
from trikk.reports.sending.send_pages import send_outstanding
from trikk.server.http.documents.notice_documents import ChannelsDocument, DeliveriesDocument, ReportsDocument
from trikk.server.http.doors import Doors, at_length
from trikk.server.http.routes import HTML_TYPE, NAME, Answer, Call, Given, who

if TYPE_CHECKING:
    from starlette.responses import Response

_SANDBOXED = {
    "cache-control": "private, no-cache",
    # A page that code has made: it is shown, and may do nothing in this server's name.
    "content-security-policy": "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "font-src data:",
    "x-content-type-options": "nosniff",
}


class ReportPageQuery(Given, frozen=True):
    """Which page of a report."""

    period: Annotated[str, Meta(max_length=40)] | None = None  # such as 2020-03; the one that was made last
    customer: Annotated[str, Meta(max_length=200)] = "*"  # whose; "*" for the one on everything


class SendReports(Given, frozen=True):
    """Whose mails are sent; those of all reports if none is named."""

    report: Annotated[str, Meta(pattern=NAME)] | None = None
    by: str = ""


def list_channels(doors: Doors, _: Call) -> Answer[ChannelsDocument]:
    """List the channels of alarms: what goes there, and whether it can. Their addresses are not told."""
    return Answer(ChannelsDocument(channels(doors.site.project)))


def test_channel(doors: Doors, call: Call) -> Answer[TestMessage]:
    """Send a message to a channel that says it is a test."""
    at = doors.site.clock.now()
    return Answer(send_test(doors.site.project, call.path["channel"], by=who(call), at=at))


def list_reports(doors: Doors, _: Call) -> Answer[ReportsDocument]:
    """List reports: when each comes due, when it was made last, mails that have not come yet."""
    site = doors.site
    return Answer(ReportsDocument(report_lines(site.project, _declared(doors), site.clock.now())))


def list_deliveries(doors: Doors, call: Call) -> Answer[DeliveriesDocument]:
    """List to whom the pages of a report have come, the latest period first."""
    return Answer(DeliveriesDocument(deliveries_of(doors.site.project, call.path["report"])))


def show_report_page(doors: Doors, call: Call) -> Response:
    """Show a page of a report as it was last made, HTML."""
    from starlette.responses import Response

    query: ReportPageQuery = call.query
    with at_length("pages are being read"):
        page = page_of(doors.site.project, call.path["report"], query.period, query.customer)
    return Response(page, headers=_SANDBOXED, media_type=HTML_TYPE)


def send_reports(doors: Doors, call: Call) -> Answer[DeliveriesDocument]:
    """Send what has not come to everybody yet who is to get it."""
    body: SendReports = call.body
    site = doors.site
    project = site.project
    with at_length("mails are being sent"):
        attempted = send_outstanding(
            project.journal,
            project.artifacts,
            project.settings,
            project.state_dir,
            _declared(doors),
            at=site.clock.now(),
            report=body.report,
        )
    return Answer(DeliveriesDocument([delivered(delivery) for delivery in attempted]))


def _declared(doors: Doors) -> dict[str, ReportSpec]:
    return {spec.name: spec for spec in declared(doors.site.graphs()).values()}
