"""What a server measures of its project, at each turn of its part, so that a scrape costs the journal nothing.

A turn costs as much as has happened since the last one: runs that have ended are read once, by the numbers of
their events. Runs in each state are counted by an index; those that are over are as many as there ever were, and
are counted so seldom that this takes a thousandth of the time at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from trikk.core.clock import Clock
from trikk.runs.journals.journal import Event, Journal
from trikk.runs.states import OVER, RunStatus
from trikk.server.sources.run_source import RunEnd, RunFeed
from trikk.telemetry.metrics import metric_table as table
from trikk.telemetry.metrics.instruments import Series, counter, family, histogram
from trikk.telemetry.metrics.run_figures import run_figures

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client import Metric as Family

    from trikk.alerts.incidents.book import Book

_PAGE = 2000  # events of a run that are read at once: a mapped step may have a hundred thousand
_SHARE = 0.001  # of the time, that counting the runs which are over may take
_LABELS_EVERY = 30.0  # seconds between two looks at how far monitors have truth


class ProjectMetrics:
    """The metrics of a project, as a collector of prometheus_client.

    Runs and steps count from the start of the server on.

    Args:
        journal: the project's.
        clock: the time.
        registry: where they are shown.
    """

    def __init__(self, journal: Journal, clock: Clock, registry: CollectorRegistry) -> None:
        self._journal = journal
        self._clock = clock
        self._feed = RunFeed(journal, clock, every=0.0)
        self._after: int | None = None
        self._counted: set[int] = set()  # ends behind `_after`
        self._count_at = float("-inf")
        self._labels_at = float("-inf")
        self._runs: dict[RunStatus, int] = {}
        self._book: Book | None = None
        self._gauges: Mapping[table.Metric, list[Series]] = {}
        self._truth: dict[str, float] = {}  # by monitor the newest slot with a truth, seconds since 1970
        self._finished = counter(table.RUNS_FINISHED, registry)
        self._run_seconds = histogram(table.RUN_SECONDS, registry)
        self._steps = counter(table.STEPS, registry)
        self._step_seconds = histogram(table.STEP_SECONDS, registry)
        self._queue_seconds = histogram(table.QUEUE_SECONDS, registry)
        self._trigger_seconds = histogram(table.TRIGGER_SECONDS, registry)
        registry.register(self)

    def turn(self, now: float) -> None:
        """Take in what has happened since the last turn.

        Args:
            now: wall time in seconds since 1970.

        Raises:
            JournalError: if the journal can't be read; then what is shown is of the turn before.
        """
        if self._after is None:
            self._after = self._feed.newest()
        for end in self._feed.ends(self._after):
            if end.seq not in self._counted:
                self._counted.add(end.seq)  # before: one whose events can't be read holds up no others
                self._add(end)
        # Where several machines write, an end may still appear before one that was counted.
        self._after = max(self._after, self._feed.settled)
        self._counted = {seq for seq in self._counted if seq > self._after}
        self._gauges = {
            table.RUNS: [((state,), number) for state, number in self._by_state().items()],
            table.QUEUE_OLDEST: [((), self._oldest(now))],
            table.INCIDENTS: self._incidents(),
            table.LABEL_LAG: [((name,), max(0.0, now - at)) for name, at in self._reach().items()],
        }

    def expect(self, pipelines: Iterable[str]) -> None:
        """Show 0 for those of which no run has ended: that a series begins at 1 is no increase to Prometheus."""
        for pipeline in pipelines:
            for state in OVER:
                self._finished.labels(pipeline, state)

    def collect(self) -> Iterator[Family]:
        """The gauges as of the last turn."""
        for metric, series in self._gauges.items():
            yield family(metric, series)

    def describe(self) -> list[Family]:
        """Nothing: the library would ask at once to learn the names."""
        return []

    def _add(self, end: RunEnd) -> None:
        figures = run_figures(end.run, self._events(end.run), end.seq)
        self._finished.labels(end.pipeline, end.state).inc()
        if figures.seconds is not None:
            self._run_seconds.labels(end.pipeline).observe(figures.seconds)
        for waited in figures.waited:
            self._queue_seconds.labels(end.pipeline).observe(waited)
        if figures.lag is not None:
            self._trigger_seconds.labels(figures.trigger).observe(figures.lag)
        for (step, outcome), attempts in figures.outcomes.items():
            self._steps.labels(end.pipeline, step, outcome).inc(attempts)
        for step, every in figures.steps.items():
            for seconds in every:
                self._step_seconds.labels(end.pipeline, step).observe(seconds)

    def _events(self, run: str) -> Iterator[Event]:
        after = 0
        while page := self._journal.events(run, after=after, limit=_PAGE):
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].seq

    def _by_state(self) -> dict[RunStatus, int]:
        began = self._clock.monotonic()
        recount = began >= self._count_at
        for state in RunStatus:
            if recount or state not in OVER:
                self._runs[state] = self._journal.count(state=state)
        if recount:
            ended = self._clock.monotonic()
            self._count_at = ended + (ended - began) / _SHARE
        return self._runs

    def _oldest(self, now: float) -> float:
        if not (queued := self._runs[RunStatus.QUEUED]):
            return 0.0
        # Fewer may wait by now.
        rows = self._journal.runs(state=RunStatus.QUEUED, limit=1, offset=queued - 1)
        return max(0.0, now - rows[0].created) if rows else 0.0

    def _incidents(self) -> list[Series]:
        from trikk.alerts.incidents.book import Book
        from trikk.alerts.rules.rule import Severity

        self._book = self._book or Book(self._journal)
        numbers = {severity.value: 0 for severity in Severity}
        for incident in self._book.open():
            numbers[incident.severity] += 1
        return [((severity,), number) for severity, number in numbers.items()]

    def _reach(self) -> dict[str, float]:
        """By monitor the newest slot that has a truth, of those that have any."""
        if (moment := self._clock.monotonic()) < self._labels_at:
            return self._truth
        self._labels_at = moment + _LABELS_EVERY
        self._truth = {}
        for name in self._journal.children("monitor/"):
            from trikk.monitoring.figures.records import Records  # only where there are monitors

            records = Records(self._journal, name)
            if (last := records.newest_truth()) is not None:
                self._truth[name] = last.timestamp()
        return self._truth
