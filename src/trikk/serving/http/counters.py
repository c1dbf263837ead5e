"""What an endpoint counts, as Prometheus reads it.

All is counted in the front's process: workers answer in messages, so nothing is lost when one ends, and
prometheus_client's mode for many processes, which keeps the series of the dead, is not needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from trikk.telemetry.metrics import metric_table as table
from trikk.telemetry.metrics.instruments import counter, gauge, histogram, info
from trikk.web.prometheus import new_registry, samples

if TYPE_CHECKING:
    from prometheus_client import Metric as Family


class Metrics:
    """Everything that an endpoint counts, in a registry of its own.

    Raises:
        MissingExtra: if prometheus_client is not installed.
    """

    def __init__(self) -> None:
        self._registry = registry = new_registry("an endpoint", "serve")
        self.requests = counter(table.ENDPOINT_REQUESTS, registry)
        self.seconds = histogram(table.ENDPOINT_SECONDS, registry)
        self.rows = counter(table.ENDPOINT_PREDICTIONS, registry)
        self.batch_requests = histogram(table.ENDPOINT_BATCH_REQUESTS, registry)
        self.batch_rows = histogram(table.ENDPOINT_BATCH_ROWS, registry)
        self.batch_seconds = histogram(table.ENDPOINT_BATCH_SECONDS, registry)
        self.restarts = counter(table.ENDPOINT_RESTARTS, registry)
        self.swaps = counter(table.ENDPOINT_SWAPS, registry)
        self.swap_failures = counter(table.ENDPOINT_SWAP_FAILURES, registry)
        self.ledger_failures = counter(table.ENDPOINT_LEDGER_FAILURES, registry)
        self.log_failures = counter(table.ENDPOINT_LOG_FAILURES, registry)
        self.logged = counter(table.ENDPOINT_LOGGED, registry)

    def gauge(self, metric: table.Metric, read: Callable[[], float]) -> None:
        """Show the number that `read` returns at each look."""
        gauge(metric, self._registry, read)

    def info(self, metric: table.Metric, read: Callable[[], Mapping[str, str] | None]) -> None:
        """Show the labels that hold at each look; None for nothing."""
        self._registry.register(_Info(metric, read))

    def text(self) -> tuple[bytes, str]:
        """All of it in Prometheus' text format, and the media type that says so."""
        return samples(self._registry)


class _Info:
    """Labels that are read when somebody looks: the library's own Info has those of the last time it was set."""

    def __init__(self, metric: table.Metric, read: Callable[[], Mapping[str, str] | None]) -> None:
        self._metric, self._read = metric, read

    def collect(self) -> Iterator[Family]:
        labels = self._read()
        yield info(self._metric, None if labels is None else dict(labels))
