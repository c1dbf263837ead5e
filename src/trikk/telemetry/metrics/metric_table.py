"""Every metric that trikk has, in one table: `/metrics`, the sinks, the dashboard and the alert rules go by it.

Labels have few values: states, and names that stand in code or in trikk.toml. None is an id of a run, or anything
else of which there are more every day: each value is a series that is kept, and in the clouds paid for.
"""

from __future__ import annotations

from enum import StrEnum

from trikk.core.record import Record


class MetricKind(StrEnum):
    """What becomes of a metric's values."""

    COUNTER = "counter"
    """They only grow, from 0 at the start of the process."""
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"
    """It is always 1, and its labels tell something."""


class Metric(Record, frozen=True):
    """One metric.

    Attributes:
        name: as Prometheus shows it, `_total` included; of a histogram without `_bucket`, `_sum`, `_count`.
        kind: what becomes of its values.
        about: what it says, in a sentence.
        labels: what tells its series apart.
        unit: of its values, as CloudWatch has it; "" for a plain number.
        bounds: of a histogram's buckets, in its unit.
        whole: whether it is of the project, so that every server of it has the same number; else of a process.
    """

    name: str
    kind: MetricKind
    about: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    bounds: tuple[float, ...] = ()
    whole: bool = False

    @property
    def samples(self) -> tuple[str, ...]:
        """The names that Prometheus has its samples under."""
        if self.kind is MetricKind.HISTOGRAM:
            return tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))
        return (self.name,)


_C, _G, _H, _I = MetricKind.COUNTER, MetricKind.GAUGE, MetricKind.HISTOGRAM, MetricKind.INFO
_S = "Seconds"
_LONG = (1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0)
_WAIT = (1.0, 5.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
_REQUEST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)
# From a millisecond, for a small model alone, to the time-out.
_ANSWER = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0)

# Of the project.
RUNS = Metric("trikk_runs", _G, "Runs in each state; those that are queued are the queue.", ("state",), whole=True)
RUNS_FINISHED = Metric("trikk_runs_finished_total", _C, "Runs that have ended.", ("pipeline", "state"), whole=True)
RUN_SECONDS = Metric(
    "trikk_run_seconds", _H, "From a run's start or resumption to its end.", ("pipeline",), _S, _LONG, whole=True
)
STEPS = Metric(
    "trikk_steps_total",
    _C,
    "Attempts of steps by how they ended, counted when their run is over.",
    ("pipeline", "step", "outcome"),
    whole=True,
)
STEP_SECONDS = Metric(
    "trikk_step_seconds",
    _H,
    "An attempt of a step that succeeded or failed.",
    ("pipeline", "step"),
    _S,
    _LONG,
    whole=True,
)
QUEUE_OLDEST = Metric(
    "trikk_queue_oldest_seconds", _G, "For how long the oldest queued run exists.", (), _S, whole=True
)
QUEUE_SECONDS = Metric(
    "trikk_queue_seconds",
    _H,
    "For how long a run that is over had waited to begin, or to go on.",
    ("pipeline",),
    _S,
    _WAIT,
    whole=True,
)
TRIGGER_SECONDS = Metric(
    "trikk_trigger_seconds",
    _H,
    "From a scheduled moment to the start of its run, counted when that is over.",
    ("trigger",),
    _S,
    _WAIT,
    whole=True,
)
LABEL_LAG = Metric(
    "trikk_label_lag_seconds",
    _G,
    "Age of the newest slot whose truth is there, as of a monitor's last evaluation.",
    ("monitor",),
    _S,
    whole=True,
)
INCIDENTS = Metric("trikk_incidents_open", _G, "Open incidents by severity.", ("severity",), whole=True)

# Of a stream, which one server reads.
STREAM_LAG = Metric(
    "trikk_stream_lag_messages", _G, "Messages that wait, as far as they are known.", ("stream",), "Count"
)
STREAM_LAG_SECONDS = Metric("trikk_stream_lag_seconds", _G, "For how long the oldest waits.", ("stream",), _S)
STREAM_SET_ASIDE = Metric("trikk_stream_set_aside", _G, "Messages that are set aside.", ("stream",), "Count")
STREAM_FAILING = Metric("trikk_stream_failing", _G, "Whether it can't be read or stored.", ("stream",))
STREAM_ROWS = Metric("trikk_stream_rows_total", _C, "Rows stored by this server.", ("stream",))
STREAM_BATCHES = Metric("trikk_stream_batches_total", _C, "Batches stored by this server.", ("stream",))

# Of a server.
REQUESTS = Metric("trikk_http_requests_total", _C, "Requests.", ("route", "status"))
REQUEST_SECONDS = Metric(
    "trikk_http_request_seconds",
    _H,
    "From a request's head to its answer, streams left out.",
    unit=_S,
    bounds=_REQUEST,
)
EVENT_STREAMS = Metric("trikk_event_streams", _G, "Open streams of events.")
TRIGGER_LAG = Metric("trikk_trigger_lag_seconds", _G, "For how long a moment is due that is not decided.", unit=_S)
PARTS_FAILING = Metric("trikk_parts_failing", _G, "Parts of the server whose last turn failed.")
SERVER_FIRES = Metric("trikk_server_fires", _G, "Whether this server's triggers count.")
SINK_FAILURES = Metric(
    "trikk_sink_failures_total", _C, "Times that a sink of metrics could not be reached.", ("sink",)
)
BUILD = Metric("trikk_build_info", _I, "What is running.", ("version", "python", "server"))

# Of an endpoint.
ENDPOINT_REQUESTS = Metric("trikk_endpoint_requests_total", _C, "Requests to /invocations by status.", ("status",))
ENDPOINT_SECONDS = Metric(
    "trikk_endpoint_request_seconds",
    _H,
    "From a request's last byte to its answer.",
    unit=_S,
    bounds=_ANSWER,
)
ENDPOINT_PREDICTIONS = Metric("trikk_endpoint_predictions_total", _C, "Predictions that were answered.")
ENDPOINT_BATCH_REQUESTS = Metric("trikk_endpoint_batch_requests", _H, "Requests in a batch.", bounds=_ROWS)
ENDPOINT_BATCH_ROWS = Metric("trikk_endpoint_batch_rows", _H, "Rows in a batch.", bounds=_ROWS)
ENDPOINT_BATCH_SECONDS = Metric(
    "trikk_endpoint_batch_seconds", _H, "A worker's time for a batch.", unit=_S, bounds=_ANSWER
)
ENDPOINT_RESTARTS = Metric(
    "trikk_endpoint_worker_restarts_total", _C, "Workers that ended and were started again."
)
ENDPOINT_SWAPS = Metric("trikk_endpoint_swaps_total", _C, "Times that another version took over.")
ENDPOINT_SWAP_FAILURES = Metric("trikk_endpoint_swap_failures_total", _C, "Versions that could not take over.")
ENDPOINT_LEDGER_FAILURES = Metric(
    "trikk_endpoint_ledger_failures_total", _C, "Times that the registry could not be read."
)
ENDPOINT_LOG_FAILURES = Metric(
    "trikk_endpoint_log_failures_total", _C, "Times that the table did not take the log."
)
ENDPOINT_LOGGED = Metric("trikk_endpoint_logged_total", _C, "Predictions that are in the table.")
ENDPOINT_QUEUE = Metric("trikk_endpoint_queue_requests", _G, "Requests that wait for a worker.")
ENDPOINT_LOG_PENDING = Metric("trikk_endpoint_log_pending_rows", _G, "Logged rows in the open file.")
ENDPOINT_LOG_BACKLOG = Metric("trikk_endpoint_log_backlog_files", _G, "Log files not yet in the table.")
ENDPOINT_MODEL = Metric(
    "trikk_endpoint_model_info",
    _I,
    "The version that answers.",
    ("model", "version", "task", "classes", "positive"),
)

METRICS = tuple(metric for metric in list(globals().values()) if isinstance(metric, Metric))
BY_SAMPLE = {sample: metric for metric in METRICS for sample in metric.samples}
"""The metric that a sample of Prometheus belongs to, by the sample's name."""
