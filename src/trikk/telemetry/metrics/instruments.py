"""prometheus_client's objects for metrics of the table; nobody else names one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from trikk.telemetry.metrics.metric_table import Metric, MetricKind

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Histogram
    from prometheus_client import Metric as Family

Series = tuple[Sequence[str], float]
"""The values of a metric's labels, in their order, and the number."""


def counter(metric: Metric, registry: CollectorRegistry) -> Counter:
    """A counter in a registry."""
    from prometheus_client import Counter

    return Counter(metric.name, metric.about, metric.labels, registry=registry)


def histogram(metric: Metric, registry: CollectorRegistry) -> Histogram:
    """A histogram in a registry."""
    from prometheus_client import Histogram

    return Histogram(metric.name, metric.about, metric.labels, registry=registry, buckets=metric.bounds)


def gauge(metric: Metric, registry: CollectorRegistry, read: Callable[[], float]) -> None:
    """Show in a registry the number that `read` returns at each look."""
    from prometheus_client import Gauge

    Gauge(metric.name, metric.about, registry=registry).set_function(read)


def family(metric: Metric, series: Iterable[Series]) -> Family:
    """A counter or a gauge as a collector gives it at one look."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    is_counter = metric.kind is MetricKind.COUNTER
    shown: Any = (CounterMetricFamily if is_counter else GaugeMetricFamily)(
        metric.name, metric.about, labels=metric.labels
    )
    for values, number in series:
        shown.add_metric(list(values), number)
    return shown  # type: ignore[no-any-return]


def info(metric: Metric, labels: dict[str, str] | None) -> Family:
    """What an info says now; None for nothing."""
    from prometheus_client.core import InfoMetricFamily

    return InfoMetricFamily(metric.name.removesuffix("_info"), metric.about, value=labels)
