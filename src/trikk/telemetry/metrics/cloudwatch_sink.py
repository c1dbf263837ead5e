"""Metrics to CloudWatch, within the limits of PutMetricData, which neither boto3 nor a test server checks.

At most 1,000 metrics and 1 MB a call, 30 dimensions a metric, 150 different values, nothing older than two weeks.
What is sent is of now and never kept for later, and no metric of the table has so many labels or buckets.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from trikk.core.errors import BrokerError, MissingExtra
from trikk.telemetry.metrics.metric_changes import Reading
from trikk.telemetry.metrics.metric_table import MetricKind

_SECONDS = 4  # for a connection, and for an answer
_LONGEST = 255  # characters of a dimension's value: as many as older versions of the service take


class CloudWatchSink:
    """CloudWatch, of the account and region that the standard AWS variables and files name.

    Args:
        namespace: under which the metrics are there.
        project: the project's name, which is a dimension of each.

    Raises:
        MissingExtra: if boto3 is not installed.
    """

    name = "cloudwatch"
    every = 60.0
    most = 500  # half of what is allowed, so that long names stay below 1 MB, too

    def __init__(self, namespace: str, project: str) -> None:
        try:
            import boto3
            from botocore.config import Config
        except ImportError as error:
            raise MissingExtra("CloudWatch", "aws") from error
        self._boto3 = boto3
        # One attempt: what is not taken is part of the next push.
        self._limits = Config(connect_timeout=_SECONDS, read_timeout=_SECONDS, retries={"total_max_attempts": 1})
        self._namespace = namespace
        self._project = project
        self._client: Any = None

    def send(self, readings: Sequence[Reading], at: float) -> None:
        """Put one datum for each reading; one of a histogram has the upper bounds of its buckets as values."""
        from botocore.exceptions import BotoCoreError, ClientError

        moment = datetime.fromtimestamp(at, UTC)
        data = [self._datum(reading, moment) for reading in readings]
        try:
            # Late: without credentials or a region the server serves all the same.
            self._client = self._client or self._boto3.client("cloudwatch", config=self._limits)
            self._client.put_metric_data(Namespace=self._namespace, MetricData=data)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "error")
            raise BrokerError(f"CloudWatch refused metrics: {code}") from error
        except BotoCoreError as error:
            raise BrokerError(f"CloudWatch is away: {type(error).__name__}") from error

    def _datum(self, reading: Reading, moment: datetime) -> dict[str, Any]:
        metric = reading.metric
        datum: dict[str, Any] = {
            "MetricName": metric.name,
            "Dimensions": [
                {"Name": name, "Value": _value(value)}
                for name, value in (("project", self._project), *reading.labels)
            ],
            "Timestamp": moment,
            "Unit": metric.unit or "Count",
        }
        if metric.kind is MetricKind.HISTOGRAM:
            datum["Values"] = [bound for bound, _ in reading.counts]
            datum["Counts"] = [count for _, count in reading.counts]
        else:
            datum["Value"] = reading.value
        return datum


def _value(text: str) -> str:
    """A label's value as a dimension has it: ASCII, printable, not empty."""
    ascii_only = text.encode("ascii", "backslashreplace").decode()
    return "".join(c if c.isprintable() else "_" for c in ascii_only)[:_LONGEST].strip() or "-"
