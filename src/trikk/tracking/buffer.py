"""What a step logs, on its way to the journal: one by one when it comes slowly, in batches when it comes fast.

A transaction for each of ten thousand metrics would take longer than the loop that logs them. What is held back is
written a fifth of a second later at the latest, by a thread that ends then, and when the step ends, however it
ends; a process that is killed loses no more than that.
"""

from __future__ import annotations

import os
import threading
import time

from trikk.runs.context import StepContext, at_exit
from trikk.runs.logged import Logged

_EVERY = 0.2  # seconds: what a process that is killed may lose
_AT_MOST = 500  # events in a transaction


class Buffer:
    """The events of one step, in order."""

    def __init__(self, context: StepContext) -> None:
        self.context = context
        self.pid = os.getpid()
        self._may_hold = at_exit(self.flush)
        self._lock = threading.Lock()
        self._held: list[Logged] = []
        self._written = 0.0
        self._timer: threading.Timer | None = None

    def add(self, events: list[Logged]) -> None:
        """Take events; raises JournalError if they, or those that were held back, can't be written."""
        with self._lock:
            self._held += events
            # The first after a pause goes at once: what is logged once an epoch is in the journal on return. Where
            # nobody calls `flush` at the end, nothing is held back at all.
            waited = time.monotonic() - self._written >= _EVERY
            if waited or not self._may_hold or len(self._held) >= _AT_MOST:
                self._write()
            elif self._timer is None:
                self._timer = threading.Timer(_EVERY, self._write_later)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Write what is held back."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._write()

    def _write(self) -> None:
        if self._held:
            self.context.record_many(list(self._held))
            self._held.clear()
        self._written = time.monotonic()

    def _write_later(self) -> None:
        with self._lock:
            self._timer = None
            try:
                self._write()
            except Exception:  # noqa: BLE001 - it is raised where the step logs next, or ends
                self._written = time.monotonic()


_buffer: Buffer | None = None


def buffer_of(context: StepContext) -> Buffer:
    """The buffer of the step that runs in this process; a process that the step has forked has its own."""
    global _buffer  # noqa: PLW0603 - one step at a time in a process
    if _buffer is None or _buffer.context is not context or _buffer.pid != os.getpid():
        _buffer = Buffer(context)
    return _buffer
