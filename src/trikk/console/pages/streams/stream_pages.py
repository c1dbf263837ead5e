"""Streams: how far each is behind, and what becomes of the messages that it has set aside."""

from __future__ import annotations

from trikk.console.page_view import Sheet, View
from trikk.server.http.doors import Doors
from trikk.server.http.handlers.stream_handlers import list_streams, show_stream
from trikk.server.http.routes import Call


def show_streams(doors: Doors, call: Call) -> View:
    """Show all streams: how far each is behind, and who reads it."""
    return View(
        "Streams",
        "streams/streams.html.j2",
        list_streams(doors, call).document,
        live="project",
        commands=[("List them:", "trikk streams")],
    )


def show_one_stream(doors: Doors, call: Call) -> View:
    """Show one stream, and the messages that it has set aside."""
    document = show_stream(doors, call).document
    name = document["name"]

    def sheet() -> Sheet:
        return Sheet(("at", "message", "why"), [[m["at"], m["message"], m["why"]] for m in document["messages"]])

    return View(
        name,
        "streams/stream.html.j2",
        document,
        sheets={"messages": sheet},
        trail=[("Streams", "/streams")],
        live="project",
        commands=[("Show it:", f"trikk streams {name}")],
    )
