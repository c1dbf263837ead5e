"""Requests on pipelines and runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

from msgspec import Meta, field

from trikk.core.errors import UnknownName
from trikk.core.values import JSON
from trikk.execution.queued_run import enqueue
from trikk.execution.upkeep.cost_report import By, CostReport, cost_report, since_day
from trikk.runs.journals.journal import Cause
from trikk.runs.journals.ledger import Added
from trikk.runs.states import OVER, RunStatus
from trikk.server.http.documents.run_documents import PipelinesDocument, RunDocument, RunsPage
from trikk.server.http.doors import Doors, at_length
from trikk.server.http.paging import Cursor, Limit, page_of
from trikk.server.http.request_keys import KeyedRequest, run_for
from trikk.server.http.routes import API, EVENTS_TYPE, NAME, Answer, Call, Given
from trikk.server.queue.queue_view import why_waiting
from trikk.tracking.fold import RunRecord, read_record
from trikk.tracking.run_document import run_document, state_document
from trikk.web.refused import Refused

if TYPE_CHECKING:
    from starlette.responses import Response

    from trikk.runs.run_state import RunState

_LARGEST_SEQ = 1 << 62


class NewRun(Given, frozen=True):
    """A run that is asked for."""

    pipeline: Annotated[str, Meta(pattern=NAME)]
    parameters: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)  # instead: as `trikk run -p NAME=VALUE` reads them


class RunsQuery(Given, frozen=True):
    """Which runs are listed, the newest first."""

    pipeline: Annotated[str, Meta(pattern=NAME)] | None = None
    state: RunStatus | None = None
    limit: Limit = 20
    cursor: Cursor | None = None


class StreamAfter(Given, frozen=True, rename={"last": "last-event-id"}):
    """Where in a stream a reader is."""

    last: Annotated[int, Meta(ge=0, le=_LARGEST_SEQ, description="The number of the last event.")] = 0


class CostsQuery(Given, frozen=True):
    """Which costs are shown, and by what they are added up."""

    by: By = By.PIPELINE
    since: Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d$")] | None = None  # a day; 30 days ago if not given


def show_costs(doors: Doors, call: Call) -> Answer[CostReport]:
    """Show what the runs took and cost that have ended, estimated from what steps ask for."""
    project, now = doors.site.project, doors.site.clock.now()
    since = since_day(call.query.since, now, ZoneInfo(project.settings.timezone))
    with at_length("costs are being added up"):  # of many thousand runs: seconds, the first time minutes
        return Answer(cost_report(project, call.query.by, since, now))


def list_pipelines(doors: Doors, _: Call) -> Answer[PipelinesDocument]:
    """List the project's pipelines: parameters and steps."""
    return Answer({"pipelines": [graph.to_json() for graph in doors.site.graphs().values()]})


def list_runs(doors: Doors, call: Call) -> Answer[RunsPage]:
    """List runs, the newest first."""
    query: RunsQuery = call.query
    rows = doors.site.project.journal.runs(
        pipeline=query.pipeline, state=query.state, limit=query.limit + 1, before=query.cursor
    )
    page, cursor = page_of(rows, query.limit, lambda row: row.id)
    return Answer(RunsPage(page, cursor))


def start_run(doors: Doors, call: Call) -> Answer[RunDocument]:
    """Start a run: it is queued, and begins when its turn comes. With the same Idempotency-Key, the same run."""
    body: NewRun = call.body
    site = doors.site
    now = site.clock.now()
    if body.parameters and body.texts:
        raise Refused(422, "the run has parameters and texts", next="give all of them in the same way")
    given: dict[str, JSON] = {"texts": dict(body.texts)} if body.texts else {"parameters": body.parameters}
    request = KeyedRequest.of(call, body.pipeline, {"pipeline": body.pipeline, **given})

    def begin(cause: Cause) -> Added:
        # Only now: who repeats a request is told of its run, even if the pipeline is gone or broken by then.
        graphs = site.graphs()
        if body.pipeline not in graphs:
            raise UnknownName("pipeline", body.pipeline, graphs)
        origin: dict[str, JSON] = {"kind": "request", "by": request.by}
        origin |= {"key": request.key} if request.key else {}
        graph, text = graphs[body.pipeline], bool(body.texts)
        return enqueue(site.project, graph, body.texts or body.parameters, origin, cause, at=now, text=text)

    run_id, is_new = run_for(site.project.journal, request, now, begin)
    if is_new:
        site.wake("queue")
    document = run_document(site.project, run_id, now)
    return Answer(document, 201 if is_new else 200, {"location": f"{API}/runs/{run_id}"})


def show_run(doors: Doors, call: Call) -> Answer[RunDocument]:
    """Show one run, as `trikk show --json` prints it."""
    project, run_id = doors.site.project, call.path["run"]
    events = project.journal.events(run_id)
    record = read_record(project.journal, run_id, events)
    return Answer(document_with_waits(doors, project.state_after(run_id, events), record))


def document_with_waits(doors: Doors, state: RunState, record: RunRecord) -> dict[str, JSON]:
    """A run that has been read, as `trikk show --json` prints it, and why it waits, if it does."""
    project, now = doors.site.project, doors.site.clock.now()
    document = state_document(project, state, record, now)
    if state.state not in OVER and (waits := why_waiting(project, now, [state.id])):
        document["waits"] = waits[state.id]
    return document


def follow_run(doors: Doors, call: Call) -> Response:
    """Follow a run's events as server-sent events, after the one that Last-Event-ID names, until it is over."""
    from starlette.responses import Response, StreamingResponse

    run_id, after = call.path["run"], call.fields.last
    if not doors.streams.goes_on(run_id, after):
        return Response(status_code=204)  # which tells a browser not to come back
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(doors.streams.of(run_id, after), media_type=EVENTS_TYPE, headers=headers)
