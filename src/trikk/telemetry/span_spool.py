"""The spans that an author's code begins in a step, on their way from the worker to its driver: a file.

A line is written when a span begins and again when it ends, by one system call each. So nothing is lost when the
step ends, is killed or runs out of time: the worker has no thread, no connection and nothing to flush, and never
waits for a collector. A span that was open at the end ends with its step.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from msgspec.structs import replace

from trikk.core.errors import RecordError
from trikk.telemetry.span_records import ERROR, SpanRecord

LIMIT = 16_000_000
"""Bytes of one attempt's spans; what comes after is dropped."""
UNFINISHED = "the step ended before it"


def spool_of(log: Path) -> Path:
    """The file beside an attempt's log that has the spans of its code."""
    return log.with_suffix(".spans")


class SpanSpool:
    """Writes an attempt's spans.

    Args:
        file: is made when the first span begins.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._descriptor = -1
        self._left = LIMIT

    def write(self, record: SpanRecord) -> None:
        """Write a span that has begun or ended; does nothing if there is no room."""
        line = record.to_bytes() + b"\n"
        self._left -= len(line)
        if self._left < 0:
            return
        if self._descriptor < 0:
            self._descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(self._descriptor, line)


def spooled(file: Path, end: int) -> list[SpanRecord]:
    """The spans that a worker has written, each once; those still open end at `end`, in nanoseconds since 1970."""
    spans: dict[str, SpanRecord] = {}
    try:
        with file.open("rb") as lines:
            for line in lines:
                with contextlib.suppress(RecordError):  # cut off by a kill, or written by the step's own code
                    record = SpanRecord.from_bytes(line)
                    spans[record.span] = record
    except OSError:
        return []
    return [span if span.end is not None else _cut(span, end) for span in spans.values()]


def _cut(span: SpanRecord, end: int) -> SpanRecord:
    attributes = {**span.attributes, "trikk.unfinished": True}
    return replace(span, end=max(end, span.start), attributes=attributes, status=ERROR, message=UNFINISHED)
