"""Word that something has changed, as server-sent events: a page that hears it asks for itself anew.

What a browser is sent says nothing but that; what it shows then is a page like any other, with the same checks.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta
from starlette.responses import Response, StreamingResponse

from trikk.server.http.doors import Doors
from trikk.server.http.routes import EVENTS_TYPE, NAME, Call, Given


class LiveQuery(Given, frozen=True):
    """What a page follows: one run, or the project."""

    run: Annotated[str, Meta(pattern=NAME)] | None = None


def follow_changes(doors: Doors, call: Call) -> Response:
    """Say whenever something has changed that a page shows."""
    run, streams = call.query.run, doors.streams
    if run is not None and not streams.goes_on(run, doors.site.project.journal.last_seq(run)):
        return Response(status_code=204)  # which tells a browser not to come back
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    body = streams.project_changes() if run is None else streams.changes_of(run)
    return StreamingResponse(body, media_type=EVENTS_TYPE, headers=headers)
