"""From a worker's standard streams to the driver: a step's output, followed while it goes on, bounded, masked.

The streams go to a file, as at home: a pipe that nobody reads for a moment would stop a program that prints. A
thread sends what is new in it. What a short step prints goes with its result instead.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from trikk.core.network.masking import mask_file
from trikk.execution.driving.attempts import kept_head, trim_log
from trikk.execution.workers.child import redirect

_FIRST, _EVERY = 0.25, 0.5  # seconds before the first piece of a call, and between two
_LARGEST = 4_000_000  # bytes of a piece
_PATIENCE = 5.0  # seconds for the sink to take one


@dataclass(slots=True)
class _Captured:
    """One attempt's output: since when (monotonic), how many bytes the sink has, whether it has heard of it."""

    task: str
    began: float
    sent: int = 0
    is_known: bool = False


class LogShipper:
    """Captures the output of this process's calls, one after the other.

    Args:
        sink: the name of the actor that takes pieces.
        limit: bytes of one attempt's log that are kept.
    """

    def __init__(self, sink: str, limit: int) -> None:
        self._sink = sink
        self._actor: Any = None
        self._limit = limit
        self._streams = [os.dup(number) for number in (0, 1, 2)]
        self._text = [_text_to(1), _text_to(2)]  # Ray's own stand-ins can't be told to write line by line
        self._new_log()
        self._changed = threading.Condition()
        self._current: _Captured | None = None
        threading.Thread(target=self._run, name="trikk-log", daemon=True).start()

    def begin(self, task: str) -> None:
        """Take what is printed from now on, be it by other programs, to a file and on to the sink."""
        self._new_log()
        self._text = [_usable(stream, number) for stream, number in zip(self._text, (1, 2), strict=True)]
        sys.stdout, sys.stderr = self._text
        redirect(str(self._log))
        with self._changed:
            self._current = _Captured(task, time.monotonic())
            self._changed.notify()

    def _new_log(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - without a name: nothing is left of it if this is killed
        self._log = Path(f"/proc/self/fd/{self._file.fileno()}")

    def end(self) -> tuple[bytes, int]:
        """Put the standard streams back; the end of the log that the sink has not got, and where that begins."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # the step may have closed it
                stream.flush()
        for number, kept in enumerate(self._streams):
            os.dup2(kept, number)
        with self._changed:  # not while a piece is on its way
            captured, self._current = self._current, None
            return (b"", 0) if captured is None else (self._new(captured, whole=True), captured.sent)

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._current is None:
                    self._changed.wait()
                captured = self._current
            time.sleep(_EVERY if captured.is_known else _FIRST)
            with self._changed:
                if self._current is captured:
                    self._send(captured)

    def _send(self, captured: _Captured) -> None:
        data = self._new(captured, whole=False)
        if captured.is_known and not data:
            return
        try:
            self._put(captured.task, time.monotonic() - captured.began, captured.sent, data)
        except Exception:  # noqa: BLE001 - the sink is away: what is new goes with a later piece, or the result
            self._actor = None
            return
        captured.sent += len(data)
        captured.is_known = True

    def _put(self, task: str, seconds: float, begin: int, data: bytes) -> None:
        import ray

        self._actor = self._actor or ray.get_actor(self._sink)
        # Not `ray.get`, which would have the cluster give the step's cores to another task meanwhile.
        self._actor.put.remote(task, seconds, begin, data).future().result(_PATIENCE)

    def _new(self, captured: _Captured, *, whole: bool) -> bytes:
        """What was not sent yet: all, or whole lines only, up to what stays of a log that grows too long."""
        try:
            mask_file(self._log)
            trim_log(self._log, self._limit)
            with self._log.open("rb") as file:
                file.seek(captured.sent)
                if whole:
                    return file.read()
                data = file.read(max(0, min(_LARGEST, kept_head(self._limit) - captured.sent)))
        except OSError:
            return b""
        return data[: data.rfind(b"\n") + 1] or (data if len(data) == _LARGEST else b"")


def _usable(stream: TextIO, number: int) -> TextIO:
    return _text_to(number) if stream.closed else stream


def _text_to(number: int) -> TextIO:
    return os.fdopen(number, "w", buffering=1, closefd=False)
