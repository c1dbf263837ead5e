"""A run's events from a stream that may break: it goes on behind the last event that came."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import msgspec

from trikk.client.rest_transport import BROKEN, Transport
from trikk.core.errors import ServerError
from trikk.server.http.documents.run_documents import EventDocument

_SILENCE = 45.0  # seconds without a byte; a server says every 15 that it is there
_PAUSE = 0.5  # seconds before the next try
_PATIENCE = 60.0  # seconds without a sign of a server: one that is started again has taken over by then
_END = "end"


def events(transport: Transport, path: str, after: int) -> Iterator[EventDocument]:
    """The events of a stream behind the one of that number, to its end.

    Raises:
        ServerError: if there was no sign of a server for a minute.
        TrikkError: that the server refuses with.
    """
    heard = time.monotonic()
    while True:
        try:
            with transport.stream(path, {"last-event-id": str(after)}, silence=_SILENCE) as answer:
                if answer.status == 204:  # there is nothing behind it, and nothing to come
                    return
                for name, data in _fields(answer):
                    heard = time.monotonic()
                    if name == _END:
                        return
                    if data:
                        event = _event(data)
                        after = event["seq"]
                        yield event
        except BROKEN as error:
            if time.monotonic() - heard > _PATIENCE:
                raise transport.unreachable(error) from error
        time.sleep(_PAUSE)  # also behind a stream that was closed: the server is about to end


def _fields(lines: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """The name and the data of each event; both empty for a comment, which says that the stream is alive."""
    name, data = "", b""
    for line in lines:
        text = line.rstrip(b"\r\n")
        field, _, value = text.partition(b": ")
        if text.startswith(b":"):
            yield "", b""
        elif field == b"event":
            name = value.decode()
        elif field == b"data":
            data = value  # one line: JSON has no others
        elif not text and data:
            yield name, data
            name, data = "", b""


def _event(data: bytes) -> EventDocument:
    try:
        return msgspec.json.decode(data, type=EventDocument)
    except msgspec.DecodeError as error:
        raise ServerError(
            f"an event can't be read: {error}", next="look whether both are of one version"
        ) from error
