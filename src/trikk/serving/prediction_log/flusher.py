"""A thread that puts what was logged into the table every few seconds, and at the end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from trikk.core.errors import TrikkError
from trikk.serving.prediction_log.spool import Segment, Spool

_log = logging.getLogger("trikk.endpoint")
_MANY = 50_000  # rows that do not wait for the next round


class Flusher:
    """Empties a spool into the table.

    Args:
        spool: where predictions are until then.
        put: puts one file into the table and returns its rows.
        seconds: between two rounds.
        report: is called after each file with how many rows went in, or None if it failed.
    """

    def __init__(
        self, spool: Spool, put: Callable[[Segment], int], seconds: float, report: Callable[[int | None], None]
    ) -> None:
        self._spool = spool
        self._put = put
        self._seconds = seconds
        self._report = report
        self._wake = threading.Event()
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="trikk-flusher", daemon=True)
        self.backlog = 0

    def start(self) -> None:
        """Begin, with what earlier processes left."""
        self._thread.start()

    def notice(self) -> None:
        """Say that rows were added; many are flushed at once."""
        if self._spool.rows >= _MANY:
            self._wake.set()

    def close(self) -> bool:
        """Flush all and end the thread; whether everything is in the table."""
        self._stop = True
        self._wake.set()
        self._thread.join()
        self._spool.close()
        return self.backlog == 0

    def _run(self) -> None:
        while True:
            # Asked before the round: what was added until `close` was called is in it.
            stopping = self._stop
            self._round()
            if stopping:
                return
            self._wake.wait(self._seconds)
            self._wake.clear()

    def _round(self) -> None:
        try:
            self._spool.cut()
            segments = self._spool.left_over()
        except OSError as error:
            _log.error("the log of predictions can't be read: %s", error)
            self._report(None)
            return
        self.backlog = len(segments)
        for segment in segments:
            try:
                # A crash between both leaves the file: it is put again under its identity, which the table knows.
                rows = self._put(segment)
                self._spool.done(segment)
            except (TrikkError, OSError) as error:
                _log.error("%s stays in the log: %s", segment.path, error)
                self._report(None)
                continue
            except Exception:  # noqa: BLE001 - a library's own; the thread must go on
                _log.exception("%s stays in the log", segment.path)
                self._report(None)
                continue
            self.backlog -= 1
            self._report(rows)
