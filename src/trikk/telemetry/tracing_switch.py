"""Tracing where a project is traced; where it is not, nothing else of this package is imported."""

from __future__ import annotations

import contextlib
import importlib
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trikk.core.errors import ProjectError
from trikk.core.settings import Settings
from trikk.telemetry.trace_settings import traces_endpoint

if TYPE_CHECKING:
    from trikk.runs.journals.journal import Event
    from trikk.telemetry.step_tracing import StepTracer

FLUSH = 2.0
"""Seconds that the end of a step waits for the author's own provider of tracers, if there is one."""
Listener = Callable[[Any, Any], None]
"""Is told of an event and of the run's state after it."""


@contextlib.contextmanager
def tracing(
    settings: Settings,
    run: str,
    folder: Callable[[], Path],
    history: Callable[[], Sequence[Event]],
    listener: Listener | None,
) -> Iterator[Listener | None]:
    """Send the spans of a run that is driven meanwhile, if the project's spans go anywhere.

    Args:
        settings: the project's.
        run: the run.
        folder: makes the folder of its logs.
        history: gives the run's events so far.
        listener: is told of every event, too.

    Yields:
        What is to be told of every event from now on: the listener itself if nothing is sent.
    """
    try:
        endpoint = traces_endpoint(settings)
    except ProjectError as error:
        logging.getLogger("trikk.telemetry").warning("no traces are sent: %s", error)
        endpoint = None
    if endpoint is None:
        yield listener
        return
    from trikk.telemetry.trace_sender import TraceSender

    sender = TraceSender(settings, endpoint, run, folder(), history())

    def both(event: Event, state: Any) -> None:
        sender.take(event)
        if listener is not None:
            listener(event, state)

    try:
        yield both
    finally:
        sender.close()


def step_tracer(settings: Settings, code: Path) -> StepTracer | None:
    """What workers of code from a folder trace their steps with, if the project's spans go anywhere."""
    with contextlib.suppress(ProjectError, OSError):  # the driver says so; the code has just been removed
        if traces_endpoint(settings) is not None:
            from trikk.telemetry.step_tracing import StepTracer

            return StepTracer(code)
    return None


def import_to_trace(settings: Settings) -> None:
    """Import, without using, what a driver traces runs with, if the project's spans go anywhere."""
    with contextlib.suppress(ImportError, ProjectError):
        if traces_endpoint(settings) is not None:
            importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
            importlib.import_module("trikk.telemetry.trace_sender")


def flush_authors_spans() -> None:
    """Have the author's own provider of tracers send what it has: this process ends by `os._exit`.

    It waits for `FLUSH` seconds at most.
    """
    trace: Any = sys.modules.get("opentelemetry.trace")
    flush = getattr(trace and trace.get_tracer_provider(), "force_flush", None)
    if flush is not None:
        flushing = threading.Thread(target=_quietly, args=(flush,), daemon=True)
        flushing.start()
        flushing.join(FLUSH)


def _quietly(flush: Any) -> None:
    with contextlib.suppress(Exception):  # an author's exporter fails no step
        flush()
