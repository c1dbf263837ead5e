"""Where metrics are pushed to, and the ways there that trikk.toml names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from trikk.core.settings import Settings
from trikk.telemetry.metrics.metric_changes import Reading


class MetricSink(Protocol):
    """A service that is told of metrics.

    Attributes:
        name: for the log and for `trikk_sink_failures_total`.
        every: seconds between two pushes.
        most: readings that it takes at once.
    """

    name: str
    every: float
    most: int

    def send(self, readings: Sequence[Reading], at: float) -> None:
        """Hand readings over, within a few seconds.

        Args:
            readings: at most `most`.
            at: of when they are, seconds since 1970.

        Raises:
            BrokerError: if that can't be done now.
        """


def metric_sinks(settings: Settings) -> list[MetricSink]:
    """The sinks that `[telemetry]` names; what they need is imported only then.

    Raises:
        ProjectError: if a variable that it names is not set.
        MissingExtra: if boto3 is not installed, which CloudWatch needs.
    """
    sinks: list[MetricSink] = []
    project = settings.name
    if namespace := settings.telemetry.get("cloudwatch"):
        from trikk.telemetry.metrics.cloudwatch_sink import CloudWatchSink

        sinks.append(CloudWatchSink(settings.filled("telemetry.cloudwatch", namespace), project))
    if address := settings.telemetry.get("dogstatsd"):
        from trikk.telemetry.metrics.dogstatsd_sink import DogStatsdSink

        sinks.append(DogStatsdSink(settings.filled("telemetry.dogstatsd", address), project))
    return sinks
