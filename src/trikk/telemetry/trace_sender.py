"""A driver's spans on their way to a collector: a thread of its own, so that no step ever waits for one.

The driver only puts its events into a queue. The thread folds them to spans, adds those that the author's code has
begun in the workers, and sends them every few seconds. What can't be sent is kept, up to a bound, and tried again;
the end of the run waits `AT_END` seconds for that at most. A file beside the run's logs says up to which event all
has been sent, so that the driver that goes on after a kill sends the rest, and nothing twice.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from trikk.core.settings import Settings
from trikk.runs.events import EventKind
from trikk.telemetry.run_spans import Ending, RunSpans
from trikk.telemetry.span_records import SpanRecord, sdk_span, trace_of
from trikk.telemetry.span_spool import spool_of, spooled
from trikk.telemetry.trace_settings import is_sampled, resource_attributes

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

    from trikk.runs.journals.journal import Event

AT_END = 3.0
"""Seconds that the end of a run waits for the collector at most."""
_EVERY = 5.0  # as the SDK's own processor, by OTEL_BSP_SCHEDULE_DELAY
_BATCH = 512
_MOST = 20_000  # spans that are kept while the collector is away, and events that wait for the thread
_SENT = "spans.sent"
_log = logging.getLogger("trikk.telemetry")


class TraceSender:
    """Sends the spans of one run.

    Args:
        settings: the project's.
        endpoint: the URL that spans are posted to.
        run: the run.
        folder: of its logs.
        history: its events so far.
    """

    def __init__(
        self, settings: Settings, endpoint: str, run: str, folder: Path, history: Sequence[Event]
    ) -> None:
        self._settings, self._endpoint, self._folder = settings, endpoint, folder
        self._spans = RunSpans(run)
        self._trace = trace_of(run)
        self._after = _sent_before(folder / _SENT, history)
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._pending: deque[tuple[int, SpanRecord]] = deque()
        self._spools: list[Path] = []
        self._lost = 0
        self._is_over = threading.Event()
        self._is_off = False
        self._exporter: SpanExporter | None = None
        for event in history:
            self._events.put(event)
        self._thread = threading.Thread(target=self._work, name="trikk-traces", daemon=True)
        self._thread.start()

    def take(self, event: Event) -> None:
        """Hand an event over; returns at once."""
        if self._events.qsize() < _MOST and not self._is_off:
            self._events.put(event)

    def close(self) -> None:
        """Send what is left, waiting `AT_END` seconds at most, and say what could not be sent."""
        self._is_over.set()
        self._thread.join(AT_END)
        if self._thread.is_alive() and self._exporter is not None:
            self._exporter.shutdown()
        left = len(self._pending) + self._lost
        if left and not self._is_off:
            _log.warning("%d spans could not be sent to %s", left, self._endpoint)

    def _work(self) -> None:
        try:
            self._send_until_over()
        except ImportError:
            _log.warning("no traces are sent, a package is missing: pip install 'trikk[otel]'")
        except Exception as error:  # noqa: BLE001 - a run does not fail for its traces
            _log.warning("no more traces are sent to %s: %s: %s", self._endpoint, type(error).__name__, error)
        self._is_off = not self._pending

    def _send_until_over(self) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource

        if not is_sampled(self._trace):
            return
        # It says on every attempt that one has failed; here it is said once, at the end.
        logging.getLogger(OTLPSpanExporter.__module__).disabled = True
        resource = Resource.create(resource_attributes(self._settings))
        self._exporter = OTLPSpanExporter(endpoint=self._endpoint)
        every = float(os.environ.get("OTEL_BSP_SCHEDULE_DELAY") or _EVERY * 1000) / 1000
        is_over = False
        while not is_over:
            is_over = self._is_over.wait(every)
            self._take_in()
            while self._pending and self._send_some(resource):
                pass
        if not self._pending:
            for spool in self._spools:
                spool.unlink(missing_ok=True)

    def _take_in(self) -> None:
        with contextlib.suppress(Empty):
            while True:
                event = self._events.get_nowait()
                for ending in self._spans.take(event):
                    if event.seq > self._after:
                        self._pending.extend((event.seq, record) for record in self._with_inner(ending))
        while len(self._pending) > _MOST:
            self._pending.popleft()
            self._lost += 1

    def _with_inner(self, ending: Ending) -> Iterator[SpanRecord]:
        """The span, and those that the author's code has begun within it."""
        yield ending.record
        if ending.log is not None:
            spool = spool_of(self._settings.state / ending.log)
            self._spools.append(spool)
            yield from spooled(spool, ending.record.end or 0)

    def _send_some(self, resource: Any) -> bool:
        """Whether a batch was sent."""
        assert self._exporter is not None
        batch = [self._pending[i] for i in range(min(_BATCH, len(self._pending)))]
        if self._exporter.export([sdk_span(record, resource) for _, record in batch]).name != "SUCCESS":
            return False
        for _ in batch:
            self._pending.popleft()
        last = batch[-1][0]
        is_whole = not self._pending or self._pending[0][0] > last
        with contextlib.suppress(OSError):  # then the next driver, if there is one, sends some twice
            (self._folder / _SENT).write_text(str(last if is_whole else last - 1))
        return True


def _sent_before(mark: Path, history: Sequence[Event]) -> int:
    """The event up to which earlier drivers have sent the run's spans.

    Where that is not known (the driver was on another machine, or sent nothing), nothing from before this one is.
    """
    try:
        return int(mark.read_text())
    except (OSError, ValueError):
        begins = [e.seq for e in history if e.kind in (EventKind.RUN_STARTED, EventKind.RUN_RESUMED)]
        return begins[-1] - 1 if len(begins) > 1 else 0
