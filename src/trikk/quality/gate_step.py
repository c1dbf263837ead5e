"""The step that a gate is: check, keep what was found, and only then stop the run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from trikk.core.errors import StorageError
from trikk.core.names import check_name
from trikk.core.values import JSON
from trikk.pipeline.step import Step
from trikk.quality.blocked import GateBlocked
from trikk.quality.check import Check
from trikk.quality.check_evaluation import evaluate
from trikk.quality.check_kinds import read_check
from trikk.quality.check_verdict import summary, why_blocked
from trikk.quality.gate_report import report_html
from trikk.quality.quarantine import Sorted, good_rows, rejected_rows
from trikk.quality.row_frames import lazy_of
from trikk.runs import logged
from trikk.runs.context import StepContext, current_step
from trikk.runs.events import EventKind

if TYPE_CHECKING:
    import pandas as pd  # a frame of pandas comes as one, with its NaN; all others are lazy


def gate_step(whats: Sequence[object], name: str, *, sorts: bool = False) -> Step[..., Any]:
    """A step that does some checks.

    Args:
        whats: for each check the object that is not data, or None; they stay in the author's process, as the code
            that made them is part of the run's code.
        name: the step's name.
        sorts: whether it sets bad rows aside, and gives the others.
    """

    def quality_gate(
        rows: pl.LazyFrame | pd.DataFrame | list[pl.LazyFrame | pd.DataFrame],
        checks: list[Any],
        *,
        sample: int,
        allow_empty: bool,
    ) -> dict[str, Any]:
        wanted = [read_check(data, object_) for data, object_ in zip(checks, whats, strict=True)]
        return _judged(wanted, lazy_of(rows), rows, sample=sample, allow_empty=allow_empty)[0]

    def sorting_gate(
        rows: pl.LazyFrame | pd.DataFrame | list[pl.LazyFrame | pd.DataFrame],
        checks: list[Any],
        *,
        sample: int,
        allow_empty: bool,
        at_most: float,
    ) -> Sorted:
        wanted = [read_check(data, object_) for data, object_ in zip(checks, whats, strict=True)]
        lazy = lazy_of(rows)
        result, reason = _judged(wanted, lazy, rows, sample=sample, allow_empty=allow_empty, at_most=at_most)
        reason = pl.lit(None, dtype=pl.String) if reason is None else reason
        return Sorted(good_rows(lazy, reason, rows), rejected_rows(lazy, reason, _about(name)), result)

    function: Callable[..., Any] = sorting_gate if sorts else quality_gate
    function.__name__ = function.__qualname__ = quality_gate.__name__
    return Step(function, name=check_name("step", name))


def _judged(
    checks: Sequence[Check], lazy: pl.LazyFrame, given: object, **options: Any
) -> tuple[dict[str, Any], pl.Expr | None]:
    """The result, kept and not blocked, and why each row is set aside."""
    context = current_step()
    now = context.now if context else datetime.now(UTC)
    result, reason = evaluate(checks, lazy, now=now, given=given, **options)
    # kept before anything is raised: a gate that blocks is the one whose report is wanted
    if context is not None:
        _keep(context, result)
    # Before the verdict: rows that can't be read say nothing of the checks, and another attempt may read them.
    if result["rows"] is None:
        raise _unread(result)
    if not result["passed"]:
        raise _blocked(result, context)
    if context is not None:
        context.notes.append(summary(result))
    return result, reason


def _about(name: str) -> dict[str, Any]:
    """When, in what run and at which gate rows were set aside."""
    context = current_step()
    if context is None:
        return {"at": datetime.now(UTC), "run": None, "pipeline": None, "gate": name}
    return {"at": context.now, "run": context.run, "pipeline": context.pipeline, "gate": context.step}


def _keep(context: StepContext, result: dict[str, Any]) -> None:
    """Store the result and the report, and say so in the run's journal, in one transaction."""
    label = _label(context)
    # artifacts first, then the entries that name them: after a crash between there is no entry without its page
    data = context.artifacts.save(result)
    about = f"run {context.run} of {context.pipeline}, {context.now:%Y-%m-%d %H:%M:%S} UTC"
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, f"{label}.html")
        page.write_text(report_html(result, title=f"Quality gate {context.step}", about=about), encoding="utf-8")
        report = context.artifacts.save(page)
    kept = (
        "set_aside",
        "name",
        "kind",
        "columns",
        "severity",
        "passed",
        "ran",
        "expected",
        "observed",
        "failing",
        "share",
    )
    checks: list[JSON] = [{key: check[key] for key in kept if key in check} for check in result["checks"]]
    said: dict[str, JSON] = {
        key: result[key] for key in ("verdict", "passed", "warned", "rows", "set_aside") if key in result
    }
    context.record_many(
        [
            logged.artifact(f"{label}.json", "value", data),
            logged.artifact(f"{label}.html", "report", report),
            (
                EventKind.QUALITY_CHECKED,
                {**said, "checks": checks, "result": data.to_json(), "report": report.to_json()},
            ),
        ]
    )


def _label(context: StepContext) -> str:
    """What the result and the report are called: after the step, recognisable as a gate's."""
    name = context.step if context.step.startswith("quality") else f"quality-{context.step}"
    return name if context.item is None else f"{name}-{context.item}"


def _unread(result: dict[str, Any]) -> StorageError:
    """Not a verdict on the rows, and perhaps over at the next attempt."""
    why = next((check["observed"] for check in result["checks"]), "no check could run")
    return StorageError(f"the rows can't be read, so that no check could run: {why}", next="check where they are")


def _blocked(result: dict[str, Any], context: StepContext | None) -> GateBlocked:
    mend = "mend the rows or the checks; the error's `result` has rows that fail"
    if context is not None:
        run = context.recorded_in
        mend = (
            f"see the failing rows: trikk artifacts {run} {_label(context)}.html --open; mend, then: "
            f"trikk resume {run} (with --with-current-data, --again STEP or --with-current-code)"
        )
    return GateBlocked(why_blocked(result), result, next=mend)
