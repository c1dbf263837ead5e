"""The part of a server that measures its project and tells the sinks of `[telemetry]`, which may be away."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from trikk.core.errors import BrokerError
from trikk.server.http.server_metrics import ServerMetrics
from trikk.server.site import Site
from trikk.telemetry.metrics.metric_changes import MetricChanges
from trikk.telemetry.metrics.metric_sink import MetricSink

_EVERY = 5.0  # seconds between two looks at the project
_log = logging.getLogger("trikk.server")


class _Push:
    """What one sink was told, and when it is told again."""

    def __init__(self, sink: MetricSink, metrics: ServerMetrics) -> None:
        self.sink = sink
        self.due = 0.0
        self._changes = MetricChanges(metrics.registry)
        self._failures = metrics.sink_failures.labels(sink.name)
        self._problem = ""

    def push(self, now: float, *, whole: bool) -> None:
        """Tell the sink; with `whole` of the project as well, else another server does."""
        readings = self._changes.read()
        ours = [reading for reading in readings if whole or not reading.metric.whole]
        if not whole:
            # Should that one end, this one goes on with what happens from then on.
            self._changes.settle(reading for reading in readings if reading.metric.whole)
        problem = ""
        try:
            for first in range(0, len(ours), self.sink.most):
                some = ours[first : first + self.sink.most]
                self.sink.send(some, now)
                self._changes.settle(some)
        except BrokerError as error:
            problem = error.what
            self._failures.inc()
        if problem and problem != self._problem:
            _log.warning("metrics: %s; it is tried again every %d s", problem, self.sink.every)
        elif self._problem and not problem:
            _log.info("metrics: %s takes them again", self.sink.name)
        self._problem = problem


class MetricsPart:
    """Measures, and pushes.

    Args:
        site: the server's.
        metrics: what it counts.
        sinks: who is told.
    """

    name = "metrics"

    def __init__(self, site: Site, metrics: ServerMetrics, sinks: Sequence[MetricSink]) -> None:
        self._site = site
        self._project = metrics.project
        self._pushes = [_Push(sink, metrics) for sink in sinks]

    def turn(self, now: float) -> float:
        """Take in what has happened, and tell the sinks whose time it is; seconds until the next turn."""
        self._project.expect(self._site.code.current.graphs)
        try:
            self._project.turn(now)
        finally:  # a journal that can't be read is when people look at what is told
            moment = self._site.clock.monotonic()
            for push in self._pushes:
                if moment >= push.due:
                    push.due = moment + push.sink.every
                    push.push(now, whole=self._is_first())
        return _EVERY

    def close(self) -> None:
        """Tell nothing more: the next server counts from its own start."""

    def _is_first(self) -> bool:
        """Whether it tells of the whole project: of the servers whose release counts, the eldest does."""
        serving, me = self._site.presence.standing.serving, self._site.presence.server
        return not serving or serving[0].id == me.id
