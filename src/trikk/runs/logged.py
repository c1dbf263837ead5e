"""What steps log about themselves: the bodies of metric.logged, param.logged and artifact.logged.

They are written by whoever does the step, not by the driver, and stay whatever becomes of the step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trikk.core.errors import UsageError
from trikk.core.values import JSON, encode
from trikk.runs.events import EventKind

if TYPE_CHECKING:
    from trikk.storage.artifact import Artifact

KINDS = ("figure", "file", "value", "report")
_LONGEST = 200
Logged = tuple[str, dict[str, JSON]]
"""An event's kind and body, as `StepContext.record_many` takes it."""


def metric(name: str, value: float, *, index: int | None, at: float) -> Logged:
    """A metric's value at a moment (wall time, seconds since 1970); NaN and infinities are kept as they are."""
    return EventKind.METRIC_LOGGED, {"name": name, "value": encode(value), "index": index, "at": at}


def param(name: str, value: object) -> Logged:
    """A parameter; UsageError if the value is not plain."""
    return EventKind.PARAM_LOGGED, {"name": name, "value": encode(value)}


def artifact(name: str, kind: str, stored: Artifact) -> Logged:
    """An artifact that is in the store; `kind` is one of `KINDS`."""
    return EventKind.ARTIFACT_LOGGED, {"name": name, "kind": kind, "artifact": stored.to_json()}


def check_label(what: str, name: object) -> str:
    """Return `name` if it can name a metric, parameter or artifact: it becomes a part of paths and of other tools.

    Raises:
        UsageError: if it is not a printable text of 1 to 200 characters whose parts between `/` are neither
            empty nor `.` nor `..`.
    """
    if isinstance(name, str) and len(name) <= _LONGEST and name.isprintable() and _is_path(name):
        return name
    shown = repr(name)
    raise UsageError(
        f"{shown if len(shown) <= 60 else shown[:57] + '...'} can't name {what}",
        next="use a printable text of at most 200 characters, such as 'mae' or 'val/loss'",
    )


def _is_path(name: str) -> bool:
    return not {"", ".", ".."} & set(name.split("/"))
