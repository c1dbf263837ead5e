"""What `/metrics` shows of a server and its project, as Prometheus reads it; all of it from memory."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import TYPE_CHECKING

from trikk.core.package import __version__
from trikk.server.metrics.project_metrics import ProjectMetrics
from trikk.server.site import Site
from trikk.telemetry.metrics import metric_table as table
from trikk.telemetry.metrics.instruments import counter, gauge, histogram
from trikk.web.prometheus import new_registry, samples

if TYPE_CHECKING:
    from prometheus_client.registry import Collector


class ServerMetrics:
    """Everything that a server counts, in a registry of its own.

    Raises:
        MissingExtra: if prometheus_client is not installed.
    """

    def __init__(self, site: Site) -> None:
        self.registry = registry = new_registry("a server", "server")
        from prometheus_client import Info

        self.requests = counter(table.REQUESTS, registry)
        self.seconds = histogram(table.REQUEST_SECONDS, registry)
        self.sink_failures = counter(table.SINK_FAILURES, registry)
        build = Info(table.BUILD.name.removesuffix("_info"), table.BUILD.about, registry=registry)
        build.info({"version": __version__, "python": platform.python_version(), "server": site.name})
        self.project = ProjectMetrics(site.project.journal, site.clock, registry)

    def gauge(self, metric: table.Metric, read: Callable[[], float]) -> None:
        """Show the number that `read` returns at each look."""
        gauge(metric, self.registry, read)

    def collect_from(self, collector: Collector) -> None:
        """Show what a collector gives at each look."""
        self.registry.register(collector)

    def text(self) -> tuple[bytes, str]:
        """All of it in Prometheus' text format, and the media type that says so."""
        return samples(self.registry)
