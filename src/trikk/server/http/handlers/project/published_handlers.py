"""Requests on published streams: which there are, and their messages."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from trikk.publishing.stream import StreamMessages, messages_of, published_streams
from trikk.server.http.documents.project_documents import PublishedDocument
from trikk.server.http.doors import Doors
from trikk.server.http.paging import Limit
from trikk.server.http.routes import Answer, Call, Given


class MessagesQuery(Given, frozen=True):
    """Which messages of a stream are shown."""

    after: Annotated[int, Meta(ge=-1, le=1 << 62)] | None = None  # an offset; the last ones if not given
    limit: Limit = 100


def list_published(doors: Doors, _: Call) -> Answer[PublishedDocument]:
    """List the streams in the project's folder to which pipelines publish."""
    return Answer(PublishedDocument(published_streams(doors.site.project.settings)))


def show_messages(doors: Doors, call: Call) -> Answer[StreamMessages]:
    """Show messages of a published stream, in their order: the last ones, or those behind an offset."""
    query: MessagesQuery = call.query
    return Answer(messages_of(doors.site.project.settings, call.path["published"], query.after, query.limit))
