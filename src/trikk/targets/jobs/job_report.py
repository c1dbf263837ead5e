"""What a job has done, as it stands in the exchange: the events of its step, and how it has ended.

An engine may run a job again. Each time is a try with a report of its own, so that what happened before is not
lost; the last one counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import Any

import msgspec

from trikk.core.record import Record
from trikk.targets.jobs.exchange import Exchange

_NAME = re.compile(r"(?P<execution>[^/]+)/steps/(?P<step>[^/]+)/(?P<number>\d{4})\.json\Z")
_AT_ONCE = 16  # requests, of which each takes tens of milliseconds


class JobState(StrEnum):
    """What a job is at."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    SKIPPED = "skipped"
    """Its step was not to run: a condition does not hold, or what it needs was skipped."""
    FAILED = "failed"
    ALLOWED = "allowed"
    """Its step has failed, as it may: what can do without its output goes on."""


class StepEvent(Record, frozen=True):
    """An event of the step, as the run's journal holds it."""

    kind: str
    at: float
    body: dict[str, Any]


class JobReport(Record, frozen=True):
    """What one try of a job has done.

    Attributes:
        step: the step's name.
        number: of the try, from 1.
        state: what it is at.
        events: the events of its step, in order.
        error: why it failed, in one line; "" if it did not.
    """

    step: str
    number: int
    state: JobState
    events: tuple[StepEvent, ...] = msgspec.field(default_factory=tuple)
    error: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state != JobState.RUNNING

    @property
    def has_settled(self) -> bool:
        """Whether what comes after the step may go on."""
        return self.state in (JobState.SUCCEEDED, JobState.SKIPPED, JobState.ALLOWED)


def begin_try(exchange: Exchange, execution: str, step: str) -> JobReport:
    """Put the report of a new try, under a number that no other try has.

    Raises:
        StorageError: if the exchange can't be reached.
    """
    number = 1 + max((n for _, n in report_names(exchange, execution, [step])), default=0)
    while True:
        report = JobReport(step, number, JobState.RUNNING)
        if exchange.put_new(_name(execution, step, number), report.to_bytes()):
            return report
        number += 1


def put_report(exchange: Exchange, execution: str, report: JobReport) -> None:
    """Put what a try has done by now; StorageError if the exchange can't be reached."""
    exchange.put(_name(execution, report.step, report.number), report.to_bytes())


def report_names(exchange: Exchange, execution: str, steps: Iterable[str] | None = None) -> list[tuple[str, int]]:
    """Step and number of all tries, in order; of these steps only, if they are given."""
    wanted = None if steps is None else set(steps)
    prefix = f"{execution}/steps/" + (f"{next(iter(wanted))}/" if wanted is not None and len(wanted) == 1 else "")
    matches = filter(None, map(_NAME.match, exchange.names(prefix)))
    pairs = [(match["step"], int(match["number"])) for match in matches if match["execution"] == execution]
    return sorted(pair for pair in pairs if wanted is None or pair[0] in wanted)


def reports(exchange: Exchange, execution: str, names: Iterable[tuple[str, int]]) -> list[JobReport]:
    """The reports of these tries, in their order.

    Raises:
        StorageError: if the exchange can't be reached, or one can't be read.
    """
    with ThreadPoolExecutor(_AT_ONCE, "exchange") as pool:
        texts = list(pool.map(lambda pair: exchange.get(_name(execution, *pair)), names))
    return [JobReport.from_bytes(text) for text in texts if text is not None]


def last_reports(
    exchange: Exchange, execution: str, steps: Iterable[str] | None = None
) -> Mapping[str, JobReport]:
    """By step the report of its last try; raises as `reports`."""
    newest = dict(report_names(exchange, execution, steps))  # in order, so that the last number stays
    return {report.step: report for report in reports(exchange, execution, newest.items())}


def _name(execution: str, step: str, number: int) -> str:
    return f"{execution}/steps/{step}/{number:04}.json"
