"""What `/metrics` shows of a server and its project, as Prometheus reads it.

Requests are counted in memory; the journal is asked at most every few seconds, so that several scrapers cost no
more than one.
"""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from trikk.core.package import __version__
from trikk.runs.states import RunStatus
from trikk.server.site import Site
from trikk.web.prometheus import new_registry, samples

if TYPE_CHECKING:
    from prometheus_client import Metric
    from prometheus_client.registry import Collector

    from trikk.alerts.incidents.book import Book

_NAMESPACE = "trikk"
_FRESH = 5.0  # seconds for which an answer of the journal is shown
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)


class ServerMetrics:
    """Everything that a server counts, in a registry of its own.

    Raises:
        MissingExtra: if prometheus_client is not installed.
    """

    def __init__(self, site: Site) -> None:
        self._registry = registry = new_registry("a server", "server")
        from prometheus_client import Counter, Histogram, Info

        self.requests = Counter(
            "http_requests_total", "Requests.", ("route", "status"), namespace=_NAMESPACE, registry=registry
        )
        self.seconds = Histogram(
            "http_request_seconds",
            "From a request's head to its answer, streams left out.",
            namespace=_NAMESPACE,
            registry=registry,
            buckets=_SECONDS,
        )
        build = Info("build", "What is running.", namespace=_NAMESPACE, registry=registry)
        build.info({"version": __version__, "python": platform.python_version(), "server": site.name})
        registry.register(_OfTheJournal(site))

    def gauge(self, name: str, about: str, read: Callable[[], float]) -> None:
        """Show the number that `read` returns at each look."""
        from prometheus_client import Gauge

        Gauge(name, about, namespace=_NAMESPACE, registry=self._registry).set_function(read)

    def collect_from(self, collector: Collector) -> None:
        """Show what a collector gives at each look."""
        self._registry.register(collector)

    def text(self) -> tuple[bytes, str]:
        """All of it in Prometheus' text format, and the media type that says so."""
        return samples(self._registry)


class _OfTheJournal:
    """Runs by state, and open incidents; nothing while the journal can't be read."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._runs: dict[str, int] = {}
        self._incidents: dict[str, int] = {}
        self._book: Book | None = None

    def collect(self) -> Iterator[Metric]:
        """The families of one scrape; TrikkError if the journal can't be read."""
        from prometheus_client.core import GaugeMetricFamily

        with self._lock:
            self._refresh()
            runs = GaugeMetricFamily(f"{_NAMESPACE}_runs", "Runs in each state.", labels=["state"])
            for state, count in self._runs.items():
                runs.add_metric([state], count)
            open_ones = GaugeMetricFamily(
                f"{_NAMESPACE}_incidents_open", "Open incidents by severity.", labels=["severity"]
            )
            for severity, count in self._incidents.items():
                open_ones.add_metric([severity], count)
        yield runs
        yield open_ones

    def describe(self) -> list[Metric]:
        """Nothing: the library would read the journal at once to learn the names."""
        return []

    def _refresh(self) -> None:
        from trikk.alerts.incidents.book import Book
        from trikk.alerts.rules.rule import Severity

        now = self._site.clock.monotonic()
        if now < self._read_at + _FRESH:
            return
        journal = self._site.project.journal
        self._runs = {state.value: journal.count(state=state) for state in RunStatus}
        self._book = self._book or Book(journal)
        self._incidents = {severity.value: 0 for severity in Severity}
        for incident in self._book.open():
            self._incidents[incident.severity] += 1
        self._read_at = now
