"""Pipelines and runs as answers have them."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from trikk.core.record import Record
from trikk.execution.backfills.backfill_state import BackfillStatus
from trikk.execution.replay import StepComparison
from trikk.runs.journals.journal import RunRow
from trikk.runs.states import RunStatus, StepStatus
from trikk.tracking.run_artifacts import Output


class ParameterDocument(TypedDict):
    """A pipeline's parameter; without a default it has to be given."""

    name: str
    kind: Any
    required: bool
    default: NotRequired[Any]


class PipelineDocument(TypedDict):
    """A pipeline: its parameters, and its steps in an order in which they can run."""

    pipeline: str
    doc: str
    parameters: list[ParameterDocument]
    nodes: list[dict[str, Any]]
    pools: NotRequired[list[str]]


class PipelinesDocument(TypedDict):
    """The project's pipelines."""

    pipelines: list[PipelineDocument]


class RunsPage(Record, frozen=True):
    """Runs, the newest first."""

    runs: list[RunRow]
    next: str | None  # the cursor of the next page; null on the last


class TaskDocument(TypedDict):
    """A step, or an item of a mapped one; times in seconds since 1970, memory in bytes."""

    state: StepStatus
    attempts: int
    reused: bool
    reason: str | None
    seconds: float | None
    started: float | None
    ended: float | None
    peak_memory: int | None
    error: dict[str, Any] | None
    allowed: bool
    write: dict[str, Any] | None
    log: str | None
    outputs: list[dict[str, Any]] | None


class ItemDocument(TaskDocument):
    """One item of a mapped step."""

    item: int


class StepDocument(TaskDocument):
    """A step; a mapped one has so many items."""

    name: str
    count: NotRequired[int]
    items: NotRequired[list[ItemDocument]]


class ApprovalDocument(TypedDict):
    """What a step asks people, and the decision; `approved` is null as long as there is none."""

    step: str
    question: str
    asked: float
    shown: dict[str, Any]
    expires: float | None
    on_expiry: str
    approved: bool | None
    by: str
    why: str
    at: float | None


class CostDocument(TypedDict):
    """What something costs: by step, the dearest first, and which prices are not set."""

    amount: float
    currency: str
    steps: dict[str, float]
    missing: list[str]


class MetricDocument(TypedDict):
    """The last value of a metric; one that is not finite is a text."""

    name: str
    step: str
    value: float | str
    count: int


class LoggedDocument(TypedDict):
    """Something that a step has logged."""

    name: str
    step: str
    kind: str
    artifact: dict[str, Any]


class RunDocument(TypedDict):
    """A run, as `trikk show --json` prints it; times in seconds since 1970."""

    id: str
    pipeline: str
    state: RunStatus
    parameters: dict[str, Any]
    origin: dict[str, Any]
    environment: str
    created: float
    started: float | None
    ended: float | None
    error: str | None
    isolation: str | None
    lock: dict[str, Any]
    code: str
    resumed: int
    forgotten: bool
    approvals: list[ApprovalDocument]
    steps: list[StepDocument]
    cost: NotRequired[CostDocument]
    waits: NotRequired[str]
    metrics: list[MetricDocument]
    logged_parameters: dict[str, Any]
    gates: list[dict[str, Any]]
    artifacts: list[LoggedDocument]


class LockedDocument(TypedDict):
    """What a run is locked to; files by path, with the digests of their content, packages with their versions."""

    run: str
    environment: str
    lock: dict[str, Any]
    files: dict[str, str]
    packages: dict[str, str]


class EventDocument(TypedDict):
    """One thing that happened to a run; `seq` increases, `at` is in seconds since 1970."""

    seq: int
    kind: str
    at: float
    body: dict[str, Any]


class ComparisonDocument(TypedDict):
    """What a replay has proved."""

    run: str
    of: str
    identical: bool
    state: RunStatus
    error: str | None
    warnings: list[str]
    steps: list[StepComparison]


class StepDetailsDocument(TaskDocument):
    """A step, or an item of one, with schema and first rows of each thing that it made."""

    run: str
    name: str
    previews: list[dict[str, Any]]


class LogDocument(TypedDict):
    """What an attempt of a step has printed."""

    step: str
    path: str
    text: str
    begins: int  # where the text begins in the log, and where it ends, in bytes
    ends: int


class LogsDocument(TypedDict):
    """The logs of a run's steps."""

    run: str
    logs: list[LogDocument]


class OutputsDocument(TypedDict):
    """What a run has made and logged."""

    run: str
    artifacts: list[Output]


class ComparedRow(TypedDict):
    """One thing that runs may differ in, and its value in each."""

    group: str
    name: str
    values: list[Any]
    differs: bool


class ComparedDocument(TypedDict):
    """Runs side by side."""

    runs: list[str]
    rows: list[ComparedRow]


class AskedDocument(ApprovalDocument):
    """What a run asks."""

    run: str
    pipeline: str


class ApprovalsDocument(TypedDict):
    """What runs ask and nobody has decided."""

    approvals: list[AskedDocument]


# By calls, as `from` can name no attribute.
BackfillDocument = TypedDict(
    "BackfillDocument",
    {
        "id": str,
        "pipelines": list[str],
        "from": str,
        "to": str,
        "begun": str,
        "state": BackfillStatus,
        "total": int,
        "done": int,
        "left_out": int,
        "failed": int,
        "going": int,
        "left": int,
        "by": str,
        "why": str,
    },
)


class BackfillsPage(TypedDict):
    """Backfills, the newest first."""

    backfills: list[BackfillDocument]
    next: str | None


class DayDocument(TypedDict):
    """A day of a backfill that has begun, or was left out for a run that had succeeded."""

    day: str
    pipeline: str
    state: str
    run: str


class BackfillDetailsDocument(BackfillDocument):
    """A backfill with what has begun."""

    runs: list[DayDocument]
