"""Requests on pipelines and runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, field

from trikk.core.errors import UnknownName
from trikk.core.values import JSON
from trikk.execution.queued_run import enqueue
from trikk.runs.journals.journal import Cause
from trikk.runs.journals.ledger import Added
from trikk.runs.states import OVER, RunStatus
from trikk.server.http.doors import Doors
from trikk.server.http.event_streams import EVENTS_TYPE
from trikk.server.http.request_keys import KeyedRequest, run_for
from trikk.server.http.routes import API, Answer, Call, Given
from trikk.server.queue.queue_view import why_waiting
from trikk.tracking.run_document import run_document
from trikk.web.refused import Refused

if TYPE_CHECKING:
    from starlette.responses import Response

_LARGEST_SEQ = 1 << 62


class NewRun(Given, frozen=True):
    """A run that is asked for."""

    pipeline: str
    parameters: dict[str, Any] = field(default_factory=dict)


class RunsQuery(Given, frozen=True):
    """Which runs are listed, the newest first."""

    pipeline: str | None = None
    state: RunStatus | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 20
    offset: Annotated[int, Meta(ge=0, le=1 << 40)] = 0


def pipelines(doors: Doors, _: Call) -> Answer:
    """List the project's pipelines: parameters and steps."""
    return Answer({"pipelines": [graph.to_json() for graph in doors.site.graphs().values()]})


def runs(doors: Doors, call: Call) -> Answer:
    """List runs, the newest first."""
    query: RunsQuery = call.query
    rows = doors.site.project.journal.runs(
        pipeline=query.pipeline, state=query.state, limit=query.limit, offset=query.offset
    )
    return Answer({"runs": [row.to_json() for row in rows]})


def start_run(doors: Doors, call: Call) -> Answer:
    """Start a run: it is queued, and begins when its turn comes. With the same Idempotency-Key, the same run."""
    body: NewRun = call.body
    site = doors.site
    now = site.clock.now()
    request = KeyedRequest.of(call, body.pipeline, {"pipeline": body.pipeline, "parameters": body.parameters})

    def begin(cause: Cause) -> Added:
        # Only now: who repeats a request is told of its run, even if the pipeline is gone or broken by then.
        graphs = site.graphs()
        if body.pipeline not in graphs:
            unknown = UnknownName("pipeline", body.pipeline, graphs)
            raise Refused(422, unknown.what, next=unknown.next)
        origin: dict[str, JSON] = {"kind": "request", "by": request.by}
        origin |= {"key": request.key} if request.key else {}
        return enqueue(site.project, graphs[body.pipeline], body.parameters, origin, cause, at=now)

    run_id, is_new = run_for(site.project.journal, request, now, begin)
    if is_new:
        site.wake("queue")
    document = run_document(site.project, run_id, now)
    return Answer(document, 201 if is_new else 200, {"location": f"{API}/runs/{run_id}"})


def run(doors: Doors, call: Call) -> Answer:
    """Show one run, as `trikk show --json` prints it."""
    project, run_id, now = doors.site.project, call.path["run"], doors.site.clock.now()
    document = run_document(project, run_id, now)
    if document["state"] not in OVER and (waits := why_waiting(project, now, [run_id])):
        document["waits"] = waits[run_id]
    return Answer(document)


def events(doors: Doors, call: Call) -> Answer | Response:
    """Follow a run's events as server-sent events, after the one that Last-Event-ID names, until it is over."""
    from starlette.responses import Response, StreamingResponse

    text = call.headers.get("last-event-id", "").strip() or "0"
    if not text.isdecimal() or not text.isascii() or int(text) > _LARGEST_SEQ:
        raise Refused(400, "Last-Event-ID is not the number of an event", next="send the id of the last event")
    run_id, after = call.path["run"], int(text)
    if not doors.streams.goes_on(run_id, after):
        return Response(status_code=204)  # which tells a browser not to come back
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(doors.streams.of(run_id, after), media_type=EVENTS_TYPE, headers=headers)
