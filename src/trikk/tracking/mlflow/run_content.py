"""What a run is in another tracking server's words: a pure function from the run's facts.

MLflow's limits (mlflow/utils/validation.py of 3.17) are kept here: names hold letters, digits, `_-. :/` and have
at most 250 characters, a parameter's value at most 6,000, a tag's 8,000; what is longer is cut and ends in "...".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from trikk.core.text import shorten
from trikk.core.values import JSON, plain
from trikk.runs.run_state import RunState
from trikk.runs.states import RunStatus
from trikk.storage.artifact import Artifact
from trikk.tracking.fold import RunRecord

T = TypeVar("T")
RUN_TAG = "trikk.run"
_STATUS = {RunStatus.SUCCEEDED: "FINISHED", RunStatus.FAILED: "FAILED", RunStatus.CANCELLED: "KILLED"}
_UNFIT = re.compile(r"[^/\w.\- :]")
_LONGEST_NAME = 250
_LONGEST_PARAM = 6000
_LONGEST_TAG = 8000


@dataclass(frozen=True, slots=True)
class MetricValue:
    """One value of a metric; `timestamp` in milliseconds since 1970, `step` the index, or the position if none."""

    key: str
    value: float
    timestamp: int
    step: int


@dataclass(frozen=True, slots=True)
class RunContent:
    """A run as it is mirrored."""

    run: str  # trikk's id
    experiment: str  # the experiment that it belongs to: project/pipeline
    status: str  # FINISHED, FAILED or KILLED
    started: int  # milliseconds since 1970, as is `ended`
    ended: int
    params: dict[str, str]  # texts by name; the pipeline's, and those that steps logged
    metrics: list[MetricValue]  # every value of every metric
    tags: dict[str, str]  # texts by name
    files: dict[str, Artifact]  # logged artifacts by their names


def content_of(project: str, state: RunState, record: RunRecord) -> RunContent:
    """What to mirror of a run that is over."""
    started = state.started if state.started is not None else state.created
    finished = state.ended if state.ended is not None else started
    return RunContent(
        run=state.id,
        experiment=f"{project}/{state.pipeline}",
        status=_STATUS.get(state.state, "FAILED"),
        started=_milliseconds(started),
        ended=_milliseconds(finished),
        params=_named(
            (name, _text(value, _LONGEST_PARAM))
            for name, value in (state.parameters | record.parameters()).items()
        ),
        metrics=_metrics(record),
        tags=_named((name, shorten(text, _LONGEST_TAG)) for name, text in _tags(state).items()),
        files={name: series.entries[-1].artifact for name, series in record.files().items()},
    )


def fit_name(name: str) -> str:
    """A name as MLflow takes it."""
    return _UNFIT.sub("_", name)[:_LONGEST_NAME]


def _metrics(record: RunRecord) -> list[MetricValue]:
    values = []
    for key, series in _named(record.history().items()).items():
        for position, point in enumerate(series.entries):
            step = position if point.index is None else point.index
            values.append(MetricValue(key, point.value, _milliseconds(point.at), step))
    return values


def _tags(state: RunState) -> dict[str, str]:
    lock = state.lock
    git = lock.get("git") or {}
    tags = {
        RUN_TAG: state.id,
        "trikk.pipeline": state.pipeline,
        "trikk.state": state.state,
        "trikk.origin": json.dumps(state.origin or {"kind": "manual"}),
        "trikk.code": str(lock.get("code", "")),
        "trikk.seed": str(lock.get("seed", "")),
        "trikk.python": str(lock.get("python", "")),
        "mlflow.runName": state.id,
        "mlflow.source.name": state.pipeline,
        "mlflow.source.type": "PROJECT",
    }
    if git.get("commit"):
        tags["mlflow.source.git.commit"] = str(git["commit"])
    if state.error:
        tags["trikk.error"] = state.error
    tags |= {f"trikk.table.{name}": str(version) for name, version in lock.get("tables", {}).items()}
    for name, version in (lock.get("models") or {}).items():
        tags[f"trikk.model.{name}"] = str(version["version"] if isinstance(version, dict) else version)
    return tags


def _named(pairs: Iterable[tuple[str, T]]) -> dict[str, T]:
    """Pairs under names that fit; of names that become equal the later get a number."""
    fitting: dict[str, T] = {}
    for name, value in pairs:
        fit = fit_name(name)
        number = 2
        while fit in fitting:
            fit = f"{fit_name(name)[: _LONGEST_NAME - 6]}_{number}"
            number += 1
        fitting[fit] = value
    return fitting


def _text(value: JSON, longest: int) -> str:
    shown = plain(value)
    return shorten(shown if isinstance(shown, str) else json.dumps(shown), longest)


def _milliseconds(moment: float) -> int:
    return round(moment * 1000)
