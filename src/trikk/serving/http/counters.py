"""What an endpoint counts, as Prometheus reads it.

All is counted in the front's process: workers answer in messages, so nothing is lost when one ends, and
prometheus_client's mode for many processes, which keeps the series of the dead, is not needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from trikk.web.prometheus import new_registry, samples

if TYPE_CHECKING:
    from prometheus_client.core import InfoMetricFamily

_NAMESPACE = "trikk_endpoint"
# From a millisecond, for a small model alone, to the time-out.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096, 16384, 65536)


class Metrics:
    """Everything that an endpoint counts, in a registry of its own.

    Raises:
        MissingExtra: if prometheus_client is not installed.
    """

    def __init__(self) -> None:
        self._registry = registry = new_registry("an endpoint", "serve")
        from prometheus_client import Counter, Histogram

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(name, about, labels, namespace=_NAMESPACE, registry=registry)

        def histogram(name: str, about: str, bounds: tuple[float, ...] = _SECONDS) -> Histogram:
            return Histogram(name, about, namespace=_NAMESPACE, registry=registry, buckets=bounds)

        self.requests = counter("requests_total", "Requests to /invocations by status.", "status")
        self.seconds = histogram("request_seconds", "From a request's last byte to its answer.")
        self.rows = counter("predictions_total", "Predictions that were answered.")
        self.batch_requests = histogram("batch_requests", "Requests in a batch.", _ROWS)
        self.batch_rows = histogram("batch_rows", "Rows in a batch.", _ROWS)
        self.batch_seconds = histogram("batch_seconds", "A worker's time for a batch.")
        self.restarts = counter("worker_restarts_total", "Workers that ended and were started again.")
        self.swaps = counter("swaps_total", "Times that another version took over.")
        self.swap_failures = counter("swap_failures_total", "Versions that could not take over.")
        self.ledger_failures = counter("ledger_failures_total", "Times that the registry could not be read.")
        self.log_failures = counter("log_failures_total", "Times that the table did not take the log.")
        self.logged = counter("logged_total", "Predictions that are in the table.")

    def gauge(self, name: str, about: str, read: Callable[[], float]) -> None:
        """Show the number that `read` returns at each look."""
        from prometheus_client import Gauge

        Gauge(name, about, namespace=_NAMESPACE, registry=self._registry).set_function(read)

    def info(self, name: str, about: str, read: Callable[[], Mapping[str, str] | None]) -> None:
        """Show as `{name}_info` the labels that hold at each look; None for nothing."""
        self._registry.register(_Info(f"{_NAMESPACE}_{name}", about, read))

    def text(self) -> tuple[bytes, str]:
        """All of it in Prometheus' text format, and the media type that says so."""
        return samples(self._registry)


class _Info:
    """Labels that are read when somebody looks: the library's own Info has those of the last time it was set."""

    def __init__(self, name: str, about: str, read: Callable[[], Mapping[str, str] | None]) -> None:
        self._name, self._about, self._read = name, about, read

    def collect(self) -> Iterator[InfoMetricFamily]:
        from prometheus_client.core import InfoMetricFamily

        labels = self._read()
        yield InfoMetricFamily(self._name, self._about, value=None if labels is None else dict(labels))
