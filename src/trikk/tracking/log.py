"""What a step says about itself: metrics, parameters, figures, artifacts, written to the run's own journal.

No server is asked, so that none can fail or slow a run. Outside of a run, as in a unit test of the step's
function, nothing is written: what was logged goes to Python's logging at the level DEBUG.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trikk.core.errors import UsageError
from trikk.runs import logged
from trikk.runs.context import StepContext, current_step

_LARGEST = 2**63
_LONGEST_PARAM = 10_000


def log_metric(name: str, value: float, *, index: int | None = None) -> None:
    """Log one value of a metric.

    It is in the journal when this returns; of a quick succession of them within a fraction of a second.

    Args:
        name: such as "mae" or "val/loss".
        value: a number, also numpy's; NaN and infinities are kept.
        index: the epoch or iteration, for a metric that is logged again and again.

    Raises:
        UsageError: if it is not a number, or the name or index can't be used.
        JournalError: if the run's journal can't be written.
    """
    log_metrics({name: value}, index=index)


def log_metrics(values: Mapping[str, float], *, index: int | None = None) -> None:
    """Log several metrics at once, such as those of one epoch; otherwise as `log_metric`."""
    at = time.time()
    place = _index(index)
    events = []
    for name, value in values.items():
        checked = logged.check_label("a metric", name)
        events.append(logged.metric(checked, _number(checked, value), index=place, at=at))
    context = current_step()
    if context is None:
        _say("metrics %s at index %s", dict(values), index)
    else:
        _add(context, events)


def log_param(name: str, value: object) -> None:
    """Log a parameter that is not one of the pipeline's, such as a model's setting.

    Args:
        name: such as "max_depth".
        value: a plain value (a number, text, date, list ...) is kept as it is, anything else as its text.

    Raises:
        UsageError: if the name can't be used, or the value is longer than 10,000 characters.
        JournalError: if the run's journal can't be written.
    """
    event = logged.param(logged.check_label("a parameter", name), _plain(value))
    if len(str(event[1]["value"])) > _LONGEST_PARAM:
        raise UsageError(
            f"parameter {name} is longer than {_LONGEST_PARAM:,} characters", next="use trikk.log_artifact"
        )
    context = current_step()
    if context is None:
        _say("parameter %s = %r", name, value)
    else:
        _add(context, [event])


def log_figure(name: str, figure: Any) -> None:
    """Log a figure.

    Args:
        name: such as "residuals" or "residuals.svg"; the ending chooses the format, PNG if there is none.
        figure: of matplotlib (also its axes) or plotly (kept as HTML), the bytes of an image or an HTML page, or
            the Path of a file with one.

    Raises:
        UsageError: if it is not one of these, or the name can't be used.
        StorageError: if it can't be stored.
        JournalError: if the run's journal can't be written.
    """
    from trikk.tracking.figure_files import draw

    checked = logged.check_label("a figure", name)
    context = current_step()
    if context is None:
        _say("figure %s: %s", name, type(figure).__name__)
        return
    with draw(checked, figure, context.artifacts.store.workspace()) as file:
        _record_artifact(context, checked, "figure", file)


def log_artifact(name: str, value: object, *, kind: str | None = None) -> None:
    """Log anything that belongs to the run but is not an output of the step.

    Args:
        name: such as "report.html".
        value: a `pathlib.Path` of a file or folder, which is copied; or any value that a step could return.
        kind: "report" for a page for people; "file" or "value" if not given.

    Raises:
        UsageError: if the name or kind can't be used.
        StorageError: if the value can't be stored.
        JournalError: if the run's journal can't be written.
    """
    checked = logged.check_label("an artifact", name)
    known_kind = kind or ("file" if isinstance(value, Path) else "value")
    if known_kind not in logged.KINDS:
        raise UsageError(f"there is no kind of artifact {kind!r}", next=f"use one of {', '.join(logged.KINDS)}")
    context = current_step()
    if context is None:
        _say("artifact %s: %s", name, type(value).__name__)
    else:
        _record_artifact(context, checked, known_kind, value)


def _record_artifact(context: StepContext, name: str, kind: str, value: object) -> None:
    _add(context, [logged.artifact(name, kind, context.artifacts.save(value))])


def _add(context: StepContext, events: list[logged.Logged]) -> None:
    from trikk.tracking.buffer import buffer_of

    buffer_of(context).add(events)


def _say(text: str, *about: object) -> None:
    import logging

    logging.getLogger("trikk.tracking").debug(text, *about)


def _number(name: str, value: object) -> float:
    if not isinstance(value, str | bytes):
        try:
            return float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            pass
    raise UsageError(
        f"metric {name} is given {type(value).__name__}, which is not a number",
        next="log one number for each name",
    )


def _index(index: object) -> int | None:
    if index is None:
        return None
    try:
        number = operator.index(index)  # type: ignore[arg-type]
    except TypeError:
        number = _LARGEST
    if not -_LARGEST <= number < _LARGEST:
        raise UsageError(f"index = {index!r} is not a whole number of 64 bits", next="give an epoch or iteration")
    return number


def _plain(value: object) -> object:
    """A plain value as it is, numpy's scalars as Python's, anything else as its text."""
    from trikk.core.values import encode

    if not isinstance(value, str | int | float) and hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    try:
        encode(value)
    except (UsageError, RecursionError):
        return str(value)
    return value
