"""A search as its runs and one ledger entry tell it: its plan, its trials, and their ranks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from trikk.core.errors import TrikkError, UnknownName, UsageError
from trikk.core.values import JSON, encode, plain
from trikk.models.metrics.by_name import metric_of
from trikk.models.metrics.own_metric import Better, is_place
from trikk.runs.journals.journal import Journal, RunRow
from trikk.runs.states import RunStatus
from trikk.storage.artifact import Artifact
from trikk.tracking.fold import RunRecord, read_record
from trikk.tracking.run_filter import count_since
from trikk.tracking.space import Space, grid

if TYPE_CHECKING:
    from trikk.execution.project import Project
    from trikk.runs.run_state import RunState

CREATED = "sweep.created"
_AT_ONCE = 200  # runs that are read together


@dataclass(frozen=True, slots=True)
class Plan:
    """What a search does; written down before its first run."""

    id: str  # the search's id
    pipeline: str  # the pipeline's name
    space: Space  # what is searched, and what stays
    metric: str  # what ranks the trials: a logged metric, or `step.key` of what a step returned
    maximize: bool  # whether larger is better
    trials: int | None  # how many Optuna makes; None for a grid
    # a `Lock` as JSON: all trials have the same data, code, packages and seed
    lock: dict[str, JSON] = field(default_factory=dict)

    def compared(self, value: float) -> float:
        """What is compared of a metric's value: its size where the nearest to zero is best, as of a bias."""
        return abs(value) if better_of(self.metric) == Better.ZERO and not self.maximize else value

    @property
    def count(self) -> int:
        """How many trials it makes."""
        return len(grid(self.space)) if self.trials is None else self.trials

    @property
    def subject(self) -> str:
        """The ledger's subject for it."""
        return f"sweep/{self.id}"

    def to_json(self) -> dict[str, JSON]:
        """The plan as JSON."""
        document: dict[str, JSON] = {name: getattr(self, name) for name in self.__slots__}
        return document | {"space": self.space.to_json()}

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Plan:
        """The plan that `to_json` wrote."""
        return cls(**{**data, "space": Space.read(data["space"])})


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a search."""

    number: int  # from 0
    run: str  # the run's id; "" if it could not be made
    parameters: dict[str, JSON]  # those that are searched
    state: str  # the run's
    value: float | None = None  # of the metric; None if there is none
    why: str | None = None  # why it has no value, in one line
    seconds: float | None = None  # how long the run took
    rank: int | None = None  # 1 is best; None if it has no finite value or the run has not succeeded

    def to_json(self) -> dict[str, JSON]:
        """The trial as JSON; a value that is not finite is a text."""
        document: dict[str, JSON] = {name: getattr(self, name) for name in self.__slots__}
        return document | {"value": plain(encode(self.value))}


def rank(trials: Iterable[Trial], *, maximize: bool, compared: Callable[[float], float] = float) -> list[Trial]:
    """Trials with their ranks: the best first, equal values by number, then those without a rank by number."""
    trials = sorted(trials, key=lambda t: t.number)
    good = [t for t in trials if t.state == RunStatus.SUCCEEDED and t.value is not None and math.isfinite(t.value)]
    # Stable: equal values stay in the order of their numbers, so that ranks don't change from call to call.
    good.sort(key=lambda t: compared(t.value or 0.0), reverse=maximize)
    ranked = {t.number: replace(t, rank=place) for place, t in enumerate(good, 1)}
    return [*ranked.values(), *(t for t in trials if t.number not in ranked)]


def better_of(metric: str) -> str:
    """Which way is better of what ranks trials: lower, higher or zero; "" if it has no name that trikk knows.

    Args:
        metric: a logged metric's name, or `step.key`; the key, or what follows its last dots, may be f1 or
            quantile_0.9.
    """
    # "fit.mae" is not known, "mae" is: what precedes a dot may be a step's name.
    while metric:
        if not is_place(metric):
            with suppress(UsageError):
                return metric_of(metric).better
        metric = metric.partition(".")[2]
    return ""


def check_direction(metric: str, *, maximize: bool) -> None:
    """Refuse a search that would call the worst the best; UsageError."""
    better = better_of(metric)
    if better == Better.HIGHER and not maximize:
        raise UsageError(f"a larger {metric} is better, but the smallest would win", next="add --maximize")
    if better == Better.LOWER and maximize:
        raise UsageError(f"a smaller {metric} is better, but the largest would win", next="leave out --maximize")


def read_plan(project: Project, sweep: str) -> Plan:
    """The plan of a search, by its id; UnknownName if there is none."""
    ledger: Any = project.journal
    for entry in ledger.entries(f"sweep/{sweep}"):
        if entry.kind == CREATED:
            return Plan.read(entry.body)
    known = [subject.partition("/")[2] for subject in ledger.subjects("sweep/")]
    raise UnknownName("sweep", sweep, known)


def rows_of(project: Project, plan: Plan, most: int | None = None) -> tuple[dict[int, RunRow], bool]:
    """The runs of a search by the numbers of their trials, and whether they are all.

    Its pipeline's runs are looked through from the moment on at which the search was written down.

    Args:
        project: the project.
        plan: the search's.
        most: how many runs are looked at before it is left at those that were found; no limit if None.
    """
    mine: dict[int, RunRow] = {}
    looked, count = 0, plan.count
    for row in _since(project.journal, plan):
        if row.origin.get("sweep") == plan.id and row.origin.get("kind") == "sweep":
            mine[int(str(row.origin["trial"]))] = row
        looked += 1
        if len(mine) == count or looked == most:
            break
    return mine, len(mine) == count or looked != most


def _since(journal: Journal, plan: Plan) -> Iterator[RunRow]:
    """The runs of a search's pipeline that were created since it was written down, the oldest first."""
    begun = next(entry.at for entry in journal.entries(plan.subject) if entry.kind == CREATED)
    newer = count_since(journal, begun, pipeline=plan.pipeline)
    batch = journal.runs(pipeline=plan.pipeline, limit=1, offset=newer - 1) if newer else []
    while batch:
        yield from batch
        batch = journal.runs(pipeline=plan.pipeline, limit=_AT_ONCE, after=batch[-1].id)


def trial_of(project: Project, plan: Plan, number: int, run: str) -> Trial:
    """A trial as its run is now."""
    state = project.run(run)
    searched = {name: state.parameters[name] for name in plan.space.searched}
    seconds = None
    if state.started is not None and state.ended is not None:
        seconds = round(max(0.0, state.ended - state.started), 3)
    if state.state != RunStatus.SUCCEEDED:
        return Trial(number, run, searched, state.state, why=state.error, seconds=seconds)
    value, why = value_of(project, state, read_record(project.journal, run), plan.metric)
    return Trial(number, run, searched, state.state, value, why, seconds)


def value_of(project: Project, state: RunState, record: RunRecord, metric: str) -> tuple[float | None, str | None]:
    """A metric of a run that has succeeded, or why there is none.

    Args:
        project: where artifacts are.
        state: the run.
        record: what its steps have logged.
        metric: a logged metric's name, or `step.key` (or `step`) of a step's output that is plain data.
    """
    logged = record.values()
    if metric in logged:
        return logged[metric], None
    name, _, path = metric.partition(".")
    step = state.steps.get(name)
    if step is None or not step.outputs:
        names = ", ".join([*logged, *(f"{s}.KEY" for s in state.steps)])
        return None, f"it has no metric {metric!r}; there are: {names}"
    try:
        artifact = Artifact.read(step.outputs[0])
        value: Any = project.artifacts.read_json(artifact) if artifact.codec == "json" else None
    except TrikkError as error:
        return None, error.what
    # NaN and infinities are stored as texts, which `float` reads.
    value = plain(value)
    for key in path.split(".") if path else ():
        value = value.get(key) if isinstance(value, dict) else None
    try:
        return float(value), None
    except (TypeError, ValueError):
        return None, f"what step {name} returned has no number {path or 'in it'}"
