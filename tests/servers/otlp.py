"""A receiver of OTLP over HTTP, as a collector's: it reads real protobuf, and keeps the spans."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue


@dataclass(frozen=True)
class Span:
    """A span as it arrived; ids in hexadecimal, times in nanoseconds since 1970."""

    name: str
    trace: str
    span: str
    parent: str
    start: int
    end: int
    attributes: dict[str, Any]
    error: str | None
    links: list[tuple[str, str]]
    scope: str
    resource: dict[str, Any]


@dataclass
class Receiver:
    """What was received, and how to answer."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)
    status: int = 200
    delay: float = 0.0
    requests: int = 0

    def named(self, name: str, **attributes: Any) -> list[Span]:
        """The spans of that name whose attributes `trikk.NAME` are as given, in the order of their starts."""
        wanted = {f"trikk.{key}": value for key, value in attributes.items()}
        return sorted(
            (s for s in self.spans if s.name == name and wanted.items() <= s.attributes.items()),
            key=lambda s: s.start,
        )

    def the(self, name: str, **attributes: Any) -> Span:
        """The only one of that name and these attributes."""
        (span,) = self.named(name, **attributes)
        return span

    def until(self, arrived: Callable[[Receiver], object], seconds: float = 60.0) -> None:
        """Wait until something has arrived."""
        end = time.monotonic() + seconds
        while not arrived(self):
            assert time.monotonic() < end, [s.name for s in self.spans]
            time.sleep(0.02)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port of loopback."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.requests += 1
            time.sleep(receiver.delay)
            assert self.path == "/v1/traces"
            assert self.headers["Content-Type"] == "application/x-protobuf"
            if receiver.status == 200:
                receiver.spans += _spans(ExportTraceServiceRequest.FromString(body))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(receiver.status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _spans(request: ExportTraceServiceRequest) -> Iterator[Span]:
    for resource_spans in request.resource_spans:
        resource = {a.key: _value(a.value) for a in resource_spans.resource.attributes}
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                assert len(span.trace_id) == 16
                assert len(span.span_id) == 8
                yield Span(
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    {a.key: _value(a.value) for a in span.attributes},
                    span.status.message if span.status.code == span.status.STATUS_CODE_ERROR else None,
                    [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
                    scope_spans.scope.name,
                    resource,
                )


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, str(kind))
