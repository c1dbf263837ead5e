"""How a job tells the exchange what its step does, while it does it.

The report is put again at each change, at most once in a while, since all of it is one object. That the exchange
does not answer for a time is no reason for a step to fail; only the end has to arrive.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec.structs import replace

from trikk.core.errors import StorageError, TrikkError
from trikk.execution.workers.traces import headline
from trikk.runs.journals.journal import Event, Journal
from trikk.runs.run_state import RunState
from trikk.runs.states import RunStatus, StepStatus
from trikk.targets.jobs.exchange import Exchange
from trikk.targets.jobs.job_report import JobReport, JobState, StepEvent, put_report

_EVERY = 1.0  # seconds between two reports while the step runs
_ATTEMPTS = 5  # to put the last report
_PAUSE = 2.0  # seconds after the first of these that fails, growing
_log = logging.getLogger(__name__)


class JobProgress:
    """Reports one try of a job; in a `with` statement, so that whatever ends the job is reported as its end.

    Args:
        exchange: where reports go.
        execution: what the engine calls the execution.
        report: the try, as it was begun.
    """

    def __init__(self, exchange: Exchange, execution: str, report: JobReport) -> None:
        self._exchange = exchange
        self._execution = execution
        self._report = report
        self._journal: Journal | None = None
        self._run = ""
        self._after = 0
        self._logs: LogEcho | None = None
        self._put_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._logs is not None:
            self._logs.close()
        if error is None or self._report.is_over:
            return
        text = error.what if isinstance(error, TrikkError) else f"{type(error).__name__}: {error}"
        self._end(JobState.FAILED, text)

    def follow(self, journal: Journal, run: str, logs: Path, *, after: int) -> None:
        """Report the step's events in a journal from now on, and print what its attempts print."""
        self._journal, self._run, self._after = journal, run, after
        self._logs = LogEcho(logs)

    def heard(self, event: Event, state: RunState) -> None:  # noqa: ARG002 - the driver's listener
        """Report what is new, unless that was done a moment ago."""
        if self._journal is not None and time.monotonic() - self._put_at >= _EVERY:
            try:
                self._put(JobState.RUNNING)
            except StorageError as error:
                _log.warning("what the step does can't be reported for now: %s", error.what)

    def ended(self, state: RunState) -> JobReport:
        """Report how the step has ended, by the state of the job's run.

        Raises:
            StorageError: if that can't be put, after several attempts.
        """
        step = state.steps[self._report.step]
        if step.state == StepStatus.SUCCEEDED:
            return self._end(JobState.SUCCEEDED)
        if step.state == StepStatus.SKIPPED:
            return self._end(JobState.SKIPPED)
        if step.allowed:
            return self._end(JobState.ALLOWED, headline(step.error))
        reason = headline(step.error) if step.error else state.error or ""
        return self._end(JobState.FAILED, "cancelled" if state.state == RunStatus.CANCELLED else reason)

    def _end(self, end: JobState, error: str = "") -> JobReport:
        if self._logs is not None:
            self._logs.close()
            self._put_logs(self._logs.folder)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._put(end, error)
            except StorageError:
                if attempt == _ATTEMPTS:
                    raise
                time.sleep(_PAUSE * attempt)
        raise AssertionError

    def _put(self, state: JobState, error: str = "") -> JobReport:
        events = [] if self._journal is None else self._journal.events(self._run, after=self._after)
        own = tuple(StepEvent(e.kind, e.at, e.body) for e in events if e.body.get("step") == self._report.step)
        self._report = replace(self._report, state=state, events=own, error=error)
        put_report(self._exchange, self._execution, self._report)
        self._put_at = time.monotonic()
        return self._report

    def _put_logs(self, folder: Path) -> None:
        for log in sorted(folder.glob(f"{self._report.step}.*log")):
            try:
                self._exchange.put(f"{self._execution}/logs/{log.name}", log.read_bytes())
            except (StorageError, OSError) as error:
                _log.warning("the log %s can't be kept: %s", log.name, error)


class LogEcho:
    """Prints what is written to the logs in a folder, as it is written: an engine shows what its jobs print.

    Args:
        folder: with the logs; files that come later are printed, too.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[Path, int] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="logs", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Print what is left, and stop."""
        if not self._is_over.is_set():
            self._is_over.set()
            self._thread.join()
            self._print_new()

    def _follow(self) -> None:
        while not self._is_over.wait(_EVERY):
            self._print_new()

    def _print_new(self) -> None:
        for log in sorted(self.folder.glob("*.log")):
            with log.open("rb") as file:
                file.seek(self._read.get(log, 0))
                text = file.read()
            self._read[log] = self._read.get(log, 0) + len(text)
            sys.stdout.buffer.write(text)
        sys.stdout.flush()
