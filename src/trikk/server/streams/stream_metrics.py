"""What `/metrics` shows of the streams that a server reads; other servers show theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from trikk.core.clock import Clock
from trikk.streams.stream_state import StreamState, StreamStatus
from trikk.telemetry.metrics import metric_table as table
from trikk.telemetry.metrics.instruments import family

if TYPE_CHECKING:
    from prometheus_client import Metric as Family


class StreamMetrics:
    """A collector, as prometheus_client has them.

    Args:
        statuses: gives how the server's streams are.
        clock: the time.
    """

    def __init__(self, statuses: Callable[[], Sequence[StreamStatus]], clock: Clock) -> None:
        self._statuses = statuses
        self._clock = clock

    def collect(self) -> Iterator[Family]:
        """The families of one scrape."""
        now = self._clock.now()
        statuses = [status for status in self._statuses() if status.state is not StreamState.ELSEWHERE]
        shown: dict[table.Metric, Callable[[StreamStatus], float]] = {
            table.STREAM_LAG: lambda s: s.lag_messages,
            table.STREAM_LAG_SECONDS: lambda s: s.lag_seconds(now),
            table.STREAM_SET_ASIDE: lambda s: s.set_aside,
            table.STREAM_FAILING: lambda s: bool(s.what),
            table.STREAM_ROWS: lambda s: s.stored,
            table.STREAM_BATCHES: lambda s: s.batches,
        }
        for metric, read in shown.items():
            yield family(metric, [((status.stream,), read(status)) for status in statuses])

    def describe(self) -> list[Family]:
        """Nothing: the library would ask at once to learn the names."""
        return []
