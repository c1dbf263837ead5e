"""OpenTelemetry in a worker: an author's spans, from a plain `get_tracer`, hang below the span of their step.

The span of the step is the driver's. The worker has only its id, as a parent that records nothing: a real span
that is open at a fork is sent by both processes, or by none, as `os._exit` flushes nothing.
"""

from __future__ import annotations

import contextlib
import functools
import os
from pathlib import Path
from typing import Any

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator

from trikk.telemetry.span_records import record_of
from trikk.telemetry.span_spool import SpanSpool, spool_of


class StepProvider(trace.TracerProvider):
    """The provider of tracers of a host, which makes it once, and of each of its workers, for their own steps.

    Unless the project has set a provider itself, its tracers are this one's. It is not the SDK's: one of these
    that is there at a fork looks at the machine anew in each child, which takes as long as a whole step. A worker
    makes one when its code asks for a tracer.
    """

    def __init__(self) -> None:
        self._span: trace.Span | None = None
        self._log: Path | None = None
        self._is_ours = isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
        if self._is_ours:
            trace.set_tracer_provider(self)

    def enter(self, within: str, span: str, flags: int, log: Path | None) -> None:
        """Have spans begin below this one until the process ends, and be written down beside the log, if any."""
        parent = trace.SpanContext(
            int(within, 16), int(span, 16), is_remote=True, trace_flags=trace.TraceFlags(flags)
        )
        self._span, self._log = trace.NonRecordingSpan(parent), log
        if not self._is_ours:
            contexts.attach(self.below(None))

    def get_tracer(self, *arguments: Any, **options: Any) -> trace.Tracer:
        """A tracer of the SDK's, all of whose spans are below the step's; one that does nothing outside a step."""
        if self._span is None:
            return trace.NoOpTracer()
        return _TracerBelow(self, self._provider.get_tracer(*arguments, **options))

    def below(self, context: contexts.Context | None) -> contexts.Context:
        """The context to begin a span in: the step's, unless there is a span already. A new thread has none."""
        if self._span is None or trace.get_current_span(context).get_span_context().is_valid:
            return contexts.get_current() if context is None else context
        return trace.set_span_in_context(self._span, context)

    @functools.cached_property
    def _provider(self) -> TracerProvider:
        # The driver says of what the spans are.
        provider = TracerProvider(
            resource=Resource.get_empty(), shutdown_on_exit=False, id_generator=_IdsFromSystem()
        )
        if self._log is not None:
            provider.add_span_processor(_ToSpool(SpanSpool(spool_of(self._log))))
        return provider


class _TracerBelow(trace.Tracer):
    def __init__(self, provider: StepProvider, tracer: trace.Tracer) -> None:
        self._below, self._tracer = provider.below, tracer

    def start_span(
        self, name: str, context: contexts.Context | None = None, *arguments: Any, **options: Any
    ) -> trace.Span:
        return self._tracer.start_span(name, self._below(context), *arguments, **options)

    def start_as_current_span(
        self, name: str, context: contexts.Context | None = None, *arguments: Any, **options: Any
    ) -> Any:
        return self._tracer.start_as_current_span(name, self._below(context), *arguments, **options)


class _IdsFromSystem(IdGenerator):
    """The SDK's own ids come from `random`, which is seeded before each step.

    So every attempt would have the same ids, and a span would change the numbers that its step draws.
    """

    def generate_span_id(self) -> int:
        return int.from_bytes(os.urandom(8)) or 1  # zero is no id

    def generate_trace_id(self) -> int:
        return int.from_bytes(os.urandom(16)) or 1


class _ToSpool(SpanProcessor):
    """Writes spans down as they begin and end."""

    def __init__(self, spool: SpanSpool) -> None:
        self._spool = spool

    def on_start(self, span: ReadableSpan, parent_context: Any = None) -> None:  # noqa: ARG002 - the SDK's signature
        self.on_end(span)

    def on_end(self, span: ReadableSpan) -> None:
        with contextlib.suppress(Exception):  # whatever an attribute is, the author's code goes on
            self._spool.write(record_of(span))
