"""What `/metrics` shows of the streams that a server reads; other servers show theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from trikk.core.clock import Clock
from trikk.streams.stream_state import StreamState, StreamStatus

if TYPE_CHECKING:
    from prometheus_client import Metric

_NAMESPACE = "trikk_stream"


class StreamMetrics:
    """A collector, as prometheus_client has them.

    Args:
        statuses: gives how the server's streams are.
        clock: the time.
    """

    def __init__(self, statuses: Callable[[], Sequence[StreamStatus]], clock: Clock) -> None:
        self._statuses = statuses
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """The families of one scrape."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        now = self._clock.now()
        statuses = [status for status in self._statuses() if status.state is not StreamState.ELSEWHERE]
        families: tuple[tuple[type[Metric], str, str, Callable[[StreamStatus], float]], ...] = (
            (GaugeMetricFamily, "lag_messages", "Messages that wait, as far as they are known.", _lag),
            (GaugeMetricFamily, "lag_seconds", "For how long the oldest waits.", lambda s: s.lag_seconds(now)),
            (GaugeMetricFamily, "set_aside", "Messages that are set aside.", lambda s: s.set_aside),
            (GaugeMetricFamily, "failing", "Whether it can't be read or stored.", lambda s: bool(s.what)),
            (CounterMetricFamily, "rows", "Rows stored by this server.", lambda s: s.stored),
            (CounterMetricFamily, "batches", "Batches stored by this server.", lambda s: s.batches),
        )
        for kind, name, about, read in families:
            family: Any = kind(f"{_NAMESPACE}_{name}", about, labels=["stream"])  # type: ignore[call-arg]
            for status in statuses:
                family.add_metric([status.stream], read(status))
            yield family

    def describe(self) -> list[Metric]:
        """Nothing: the library would ask at once to learn the names."""
        return []


def _lag(status: StreamStatus) -> float:
    return status.lag_messages
