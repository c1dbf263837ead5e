"""The part of a server that brings logs to CloudWatch: its own lines as they come, a run's when it has ended.

The files of the run's folder are the queue, so that a service which is away, or a server that is killed, loses
nothing and holds up no step. They are read when the run is over, since the end of a step masks what programs have
printed of its secrets. What was brought is noted in that folder, as a run that is resumed ends twice. What was
sent and not noted comes again. Of several servers with one folder, one does it.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from trikk.core.errors import StorageError
from trikk.core.network.masking import hide
from trikk.server.site import Site
from trikk.server.sources.run_source import RunFeed
from trikk.storage.stores.locks import file_lock
from trikk.telemetry.cloudwatch_logs import CloudWatchLogs, LogLine, log_lines, server_stream

_EVERY = 5.0  # seconds
_SETTLES = 5.0  # seconds after the end of a run in which its driver may still write
_KEPT = 10_000  # of the server's own lines that wait while the service is away
_NOTE = ".brought.json"  # in a run's folder: bytes of each file


class LogsPart:
    """Brings logs.

    Args:
        site: the server's.
        logs: where they go.
    """

    name = "logs"

    def __init__(self, site: Site, logs: CloudWatchLogs) -> None:
        self._site = site
        self._logs = logs
        self._feed = RunFeed(site.project.journal, site.clock, every=0.0)
        self._place = site.project.state_dir / "server" / "logs-brought.json"
        self._after: int | None = None
        self._brought: set[int] = set()  # ends behind `_after`
        self._lock = contextlib.ExitStack()
        self._is_ours = False
        self._own = _OwnLines()
        logging.getLogger().addHandler(self._own)

    def turn(self, now: float) -> float:
        """Bring what is new; seconds until the next turn. BrokerError if the service is away."""
        if (self._is_ours or self._take_lock()) and self._after is None:
            self._after = self._noted()  # whether or not the service is there: what ends from now on is brought
        self._bring_own()
        if self._after is not None:
            self._bring_runs(now, self._after)
        return _EVERY

    def close(self) -> None:
        """Bring the last of the server's own lines."""
        logging.getLogger().removeHandler(self._own)
        self._lock.close()
        self._bring_own()

    def _bring_own(self) -> None:
        lines = self._own.take()
        try:
            self._logs.put(server_stream(), lines)
        except BaseException:
            self._own.put_back(lines)
            raise

    def _take_lock(self) -> bool:
        try:
            self._lock.enter_context(file_lock(self._place.with_suffix(".lock"), timeout=0.0))
        except StorageError:
            return False  # another server has it; the kernel frees it when that one is gone
        self._is_ours = True
        return True

    def _bring_runs(self, now: float, before: int) -> None:
        waiting = []
        for end in self._feed.ends(before):
            if end.seq in self._brought:
                continue
            if now < end.at + _SETTLES:
                waiting.append(end.seq)
                continue
            self._bring(end.run, end.at)
            self._brought.add(end.seq)
        # Where several machines write, an end may still appear before one that was brought.
        after = max(before, min([self._feed.settled, *(seq - 1 for seq in waiting)]))
        if after > before:
            self._after = after
            _write(self._place, {"after": after})
        self._brought = {seq for seq in self._brought if seq > after}

    def _noted(self) -> int:
        """How far an earlier server was; a first one begins with what ends from now on."""
        noted = _read(self._place).get("after")
        if noted is None:
            noted = self._feed.newest()
            _write(self._place, {"after": noted})
        return noted

    def _bring(self, run: str, ended: float) -> None:
        folder = self._site.project.state_dir / "runs" / run  # not there, if another machine has run it
        note = _read(folder / _NOTE)
        sizes = {log: log.stat().st_size for log in sorted(folder.glob("*.log"))}
        new = [(log, note.get(log.name, 0), size) for log, size in sizes.items() if size > note.get(log.name, 0)]
        # All files together: a mapped step has one for each item, and each call takes its time.
        self._logs.put(run, chain.from_iterable(log_lines(_lines(*part), ended) for part in new))
        if new:
            _write(folder / _NOTE, {**note, **{log.name: size for log, _, size in new}})


class _OwnLines(logging.Handler):
    """Keeps what this process logs until it is fetched, and drops the oldest where that does not happen."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[LogLine] = deque(maxlen=_KEPT)

    def emit(self, record: logging.LogRecord) -> None:
        root = logging.getLogger().handlers
        formatter = next((handler.formatter for handler in root if handler.formatter is not None), None)
        try:
            text = formatter.format(record) if formatter is not None else record.getMessage()
        except Exception:  # noqa: BLE001 - as in logging's own handlers: whoever logs is not hurt by it
            self.handleError(record)
            return
        self._lines.append(LogLine(int(record.created * 1000), hide(text)))

    def take(self) -> list[LogLine]:
        """The lines, which it forgets."""
        with self._changes():
            lines = list(self._lines)
            self._lines.clear()
        return lines

    def put_back(self, lines: Sequence[LogLine]) -> None:
        """Keep lines that were taken, before those that have come meanwhile."""
        with self._changes():
            self._lines = deque([*lines, *self._lines], maxlen=_KEPT)

    @contextlib.contextmanager
    def _changes(self) -> Iterator[None]:
        self.acquire()  # what `emit` is called with
        try:
            yield
        finally:
            self.release()


def _lines(log: Path, start: int, end: int) -> Iterator[str]:
    with log.open("rb") as file:
        file.seek(start)
        while start < end:
            line = file.readline(end - start)
            start += len(line) or end
            yield line.decode(errors="replace")


def _read(file: Path) -> dict[str, int]:
    try:
        read = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def _write(file: Path, value: dict[str, int]) -> None:
    beside = file.with_suffix(".new")
    beside.write_text(json.dumps(value))
    beside.replace(file)
