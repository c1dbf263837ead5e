"""Counters in Prometheus' text format, version 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats).

Written by hand: four kinds of lines are no reason for a dependency. All are changed in the event loop's thread.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096, 16384, 65536)


class Counter:
    """A number for each value of its labels, which only grows."""

    kind = "counter"

    def __init__(self, name: str, about: str, *labels: str) -> None:
        self.name, self.about, self._labels = name, about, labels
        self._values: dict[tuple[str, ...], float] = {} if labels else {(): 0}

    def add(self, *labels: str, by: float = 1) -> None:
        """Count `by` more under these label values."""
        self._values[labels] = self._values.get(labels, 0) + by

    def lines(self) -> Iterator[str]:
        """Its samples."""
        for values, number in sorted(self._values.items()):
            yield f"{self.name}{_shown(dict(zip(self._labels, values, strict=True)))} {number:g}"


class Gauge:
    """A number that is asked for when it is shown; with labels, 1 for the set of them that holds now."""

    kind = "gauge"

    def __init__(self, name: str, about: str, read: Callable[[], float | Mapping[str, str] | None]) -> None:
        self.name, self.about, self._read = name, about, read

    def lines(self) -> Iterator[str]:
        """Its samples."""
        found = self._read()
        if isinstance(found, Mapping):
            yield f"{self.name}{_shown(found)} 1"
        elif found is not None:
            yield f"{self.name} {found:g}"


class Histogram:
    """How many values fell below each of some bounds."""

    kind = "histogram"

    def __init__(self, name: str, about: str, bounds: tuple[float, ...] = _SECONDS) -> None:
        self.name, self.about, self._bounds = name, about, bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self) -> Iterator[str]:
        """Its samples."""
        total = 0
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            total += count
            yield f'{self.name}_bucket{{le="{"+Inf" if bound == float("inf") else f"{bound:g}"}"}} {total}'
        yield f"{self.name}_sum {self._sum:.9g}"
        yield f"{self.name}_count {total}"


class Metrics:
    """Everything that an endpoint counts."""

    def __init__(self) -> None:
        p = "trikk_endpoint_"
        self.requests = Counter(f"{p}requests_total", "Requests to /invocations by status.", "status")
        self.seconds = Histogram(f"{p}request_seconds", "From a request's last byte to its answer.")
        self.rows = Counter(f"{p}predictions_total", "Predictions that were answered.")
        self.batch_requests = Histogram(f"{p}batch_requests", "Requests in a batch.", _ROWS)
        self.batch_rows = Histogram(f"{p}batch_rows", "Rows in a batch.", _ROWS)
        self.batch_seconds = Histogram(f"{p}batch_seconds", "A worker's time for a batch.")
        self.restarts = Counter(f"{p}worker_restarts_total", "Workers that ended and were started again.")
        self.swaps = Counter(f"{p}swaps_total", "Times that another version took over.")
        self.swap_failures = Counter(f"{p}swap_failures_total", "Versions that could not take over.")
        self.ledger_failures = Counter(f"{p}ledger_failures_total", "Times that the registry could not be read.")
        self.log_failures = Counter(f"{p}log_failures_total", "Times that the table did not take the log.")
        self.logged = Counter(f"{p}logged_total", "Predictions that are in the table.")
        self._gauges: list[Gauge] = []

    def gauge(self, name: str, about: str, read: Callable[[], float | Mapping[str, str] | None]) -> None:
        """Show what `read` returns: a number, or labels of what holds now; None for nothing."""
        self._gauges.append(Gauge(f"trikk_endpoint_{name}", about, read))

    def text(self) -> str:
        """All of it as Prometheus reads it."""
        found = [one for one in vars(self).values() if isinstance(one, Counter | Histogram)]
        lines = []
        for one in (*found, *self._gauges):
            lines += [f"# HELP {one.name} {one.about}", f"# TYPE {one.name} {one.kind}", *one.lines()]
        return "\n".join(lines) + "\n"


def _shown(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    escaped = ((k, v.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')) for k, v in labels.items())
    return "{" + ",".join(f'{key}="{value}"' for key, value in escaped) + "}"
