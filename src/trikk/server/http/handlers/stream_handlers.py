"""Requests on streams: how far each is, and what becomes of the messages that it has set aside."""

from __future__ import annotations

from typing import Any

from trikk.core.errors import UnknownName
from trikk.core.settings import load_settings
from trikk.server.http.doors import Doors
from trikk.server.http.routes import Answer, Call, who
from trikk.server.streams.stream_set_aside import drop, retry
from trikk.server.streams.stream_view import settled_document, stream_details, streams_document
from trikk.streams.stream_declaration import Stream, declared_streams


def list_streams(doors: Doors, _: Call) -> Answer[dict[str, Any]]:
    """List streams: how far each is behind, its rows, who reads it, what is wrong."""
    site = doors.site
    return Answer(streams_document(site.project, _declared(doors), site.clock.now(), site.set_aside))


def show_stream(doors: Doors, call: Call) -> Answer[dict[str, Any]]:
    """Show one stream: its declaration, and the messages that it has set aside."""
    site = doors.site
    name, now = call.path["stream"], site.clock.now()
    return Answer(stream_details(site.project, _declared(doors), name, now, site.set_aside))


def retry_set_aside(doors: Doors, call: Call) -> Answer[dict[str, Any]]:
    """Bring the messages into the table that were set aside and fit now."""
    site, stream = doors.site, _named(doors, call)
    count, left = retry(site.project, stream, by=who(call), at=site.clock.now())
    return Answer(settled_document(stream.name, count, len(left)))


def drop_set_aside(doors: Doors, call: Call) -> Answer[dict[str, Any]]:
    """Say that the messages which were set aside are not wanted."""
    site, stream = doors.site, _named(doors, call)
    count = drop(site.project.journal, stream.name, by=who(call), why=call.body.why, at=site.clock.now())
    return Answer(settled_document(stream.name, count, 0))


def _declared(doors: Doors) -> dict[str, Stream]:
    return declared_streams(load_settings(doors.site.project.root))  # as it is now, as the streams go by it


def _named(doors: Doors, call: Call) -> Stream:
    declared, name = _declared(doors), call.path["stream"]
    if name not in declared:
        raise UnknownName("stream", name, declared)
    return declared[name]
