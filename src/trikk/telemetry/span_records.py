"""A span as plain values: as a worker hands it to its driver, and as the driver keeps it until it is sent.

Ids are derived from the run's, so that everybody who knows a run knows its trace: a worker needs to be told
nothing, a driver that takes a run over goes on in the same trace, and a span that is sent twice has one id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import field

from trikk.core.digests import digest_json
from trikk.core.record import Record

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan

NANO = 10**9
SAMPLED, NOT_SAMPLED = 1, 0
"""The flags of a trace that is sent, and of one that is not (W3C Trace Context)."""
OK, ERROR = 1, 2
"""OTLP's codes of a span's status; 0 is unset."""
INTERNAL = 0


class SpanEvent(Record, frozen=True, omit_defaults=True):
    """Something that happened within a span at a time, in nanoseconds since 1970."""

    name: str
    at: int
    attributes: dict[str, Any] = field(default_factory=dict)


class SpanLink(Record, frozen=True, omit_defaults=True):
    """Another span that has to do with this one."""

    trace: str
    span: str
    attributes: dict[str, Any] = field(default_factory=dict)


class SpanRecord(Record, frozen=True, omit_defaults=True):
    """A span.

    Attributes:
        name: what is done in it.
        trace: 32 hexadecimal characters.
        span: 16 of them.
        start: nanoseconds since 1970.
        end: nanoseconds since 1970; None while it is open.
        parent: the span that it is within; "" for none.
        kind: as the SDK numbers them; 0 for one within a process.
        attributes: texts, numbers, booleans and lists of these.
        status: 0, `OK` or `ERROR`.
        message: what is wrong, if its status is ERROR.
        scope: which library has begun it, and its version.
    """

    name: str
    trace: str
    span: str
    start: int
    end: int | None = None
    parent: str = ""
    kind: int = INTERNAL
    attributes: dict[str, Any] = field(default_factory=dict)
    status: int = 0
    message: str = ""
    events: list[SpanEvent] = field(default_factory=list)
    links: list[SpanLink] = field(default_factory=list)
    scope: tuple[str, str] = ("trikk", "")


def trace_of(run: str) -> str:
    """The id of a run's trace."""
    return digest_json(["trace", run])[:32]


def span_of(run: str, *path: str | int | None) -> str:
    """The id of a span of a run: its n-th driving (`"run", n`), or an attempt (`step, item, attempt`)."""
    return digest_json([run, *path])[:16]


def traceparent(trace: str, span: str, flags: int) -> str:
    """A span as programs hand it on to each other (W3C Trace Context, version 00)."""
    return f"00-{trace}-{span}-{flags:02x}"


def record_of(span: ReadableSpan) -> SpanRecord:
    """The record of one of the SDK's spans, which may be open."""
    context, scope = span.context, span.instrumentation_scope
    return SpanRecord(
        name=span.name,
        trace=f"{context.trace_id:032x}",
        span=f"{context.span_id:016x}",
        start=span.start_time or 0,
        end=span.end_time,
        parent=f"{span.parent.span_id:016x}" if span.parent is not None else "",
        kind=span.kind.value,
        attributes=dict(span.attributes or {}),
        status=span.status.status_code.value,
        message=span.status.description or "",
        events=[SpanEvent(e.name, e.timestamp, dict(e.attributes or {})) for e in span.events],
        links=[
            SpanLink(f"{x.context.trace_id:032x}", f"{x.context.span_id:016x}", dict(x.attributes or {}))
            for x in span.links
        ],
        scope=(scope.name, scope.version or "") if scope is not None else ("", ""),
    )


def sdk_span(record: SpanRecord, resource: Resource) -> ReadableSpan:
    """The record as an exporter of the SDK takes it."""
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

    def context(trace: str, span: str) -> SpanContext:
        return SpanContext(int(trace, 16), int(span, 16), is_remote=False, trace_flags=TraceFlags(SAMPLED))

    code = StatusCode(record.status)
    return ReadableSpan(
        name=record.name,
        context=context(record.trace, record.span),
        parent=context(record.trace, record.parent) if record.parent else None,
        resource=resource,
        attributes=record.attributes,
        events=[Event(e.name, e.attributes, e.at) for e in record.events],
        links=[Link(context(x.trace, x.span), x.attributes) for x in record.links],
        kind=SpanKind(record.kind),
        status=Status(code, record.message if code is StatusCode.ERROR else None),
        start_time=record.start,
        end_time=record.end,
        instrumentation_scope=InstrumentationScope(*record.scope),
    )
