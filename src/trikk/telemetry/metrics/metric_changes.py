"""What a sink has not yet been told of the metrics that a process counts.

Prometheus asks for sums since the start; CloudWatch and DogStatsD are told increases. An increase counts as told
once it was handed over: while a sink is away nothing is lost or kept in a queue; the next increase is greater.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from trikk.telemetry.metrics.metric_table import BY_SAMPLE, Metric, MetricKind

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client import Metric as Family

Labels = tuple[tuple[str, str], ...]
_Key = tuple[str, Labels]


class Reading(NamedTuple):
    """A series at one look.

    Attributes:
        metric: whose.
        labels: names and values.
        value: of a gauge; of a counter the increase; of a histogram how many values there are more.
        counts: of a histogram, the upper bound of each bucket that has more values, and how many more; what is
            above the last bound is counted as of it.
    """

    metric: Metric
    labels: Labels
    value: float
    counts: tuple[tuple[float, float], ...] = ()


class MetricChanges:
    """One sink's view of a registry.

    Args:
        registry: prometheus_client's.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._told: dict[_Key, float] = {}

    def read(self) -> list[Reading]:
        """All gauges, and the counters and histograms that have grown since they were settled."""
        return [reading for family in self._registry.collect() for reading in self._of(family)]

    def settle(self, readings: Iterable[Reading]) -> None:
        """Take these as told."""
        for metric, labels, value, counts in readings:
            if metric.kind is MetricKind.COUNTER:
                self._add((metric.name, labels), value)
            for bound, more in counts:
                self._add((metric.name, (*labels, ("le", str(bound)))), more)

    def _add(self, key: _Key, more: float) -> None:
        self._told[key] = self._told.get(key, 0.0) + more

    def _of(self, family: Family) -> Iterator[Reading]:
        buckets: dict[Labels, dict[float, float]] = {}
        for sample in family.samples:
            metric = BY_SAMPLE.get(sample.name)
            if metric is None or not math.isfinite(sample.value):
                continue
            if metric.kind is MetricKind.HISTOGRAM and "le" in sample.labels:
                labels = tuple((name, value) for name, value in sample.labels.items() if name != "le")
                buckets.setdefault(labels, {})[float(sample.labels["le"])] = sample.value
            elif metric.kind is MetricKind.GAUGE:
                yield Reading(metric, tuple(sample.labels.items()), sample.value)
            elif metric.kind is MetricKind.COUNTER:
                labels = tuple(sample.labels.items())
                if (more := sample.value - self._told.get((metric.name, labels), 0.0)) > 0:
                    yield Reading(metric, labels, more)
        for labels, sums in buckets.items():
            metric = BY_SAMPLE[f"{family.name}_bucket"]
            if counts := self._grown(metric, labels, sums):
                yield Reading(metric, labels, sum(more for _, more in counts), counts)

    def _grown(self, metric: Metric, labels: Labels, sums: dict[float, float]) -> tuple[tuple[float, float], ...]:
        """How many values each bucket has more; Prometheus adds up those of all lower ones."""
        counts: dict[float, float] = {}
        below = 0.0
        for bound in sorted(sums):
            within, below = sums[bound] - below, sums[bound]
            shown = min(bound, metric.bounds[-1])
            counts[shown] = counts.get(shown, 0.0) + within
        grown = {
            bound: within - self._told.get((metric.name, (*labels, ("le", str(bound)))), 0.0)
            for bound, within in counts.items()
        }
        return tuple((bound, more) for bound, more in grown.items() if more > 0)
