"""A challenger in shadow: predicted beside the champion and kept, never published, and never a run's failure."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trikk.core.durations import Duration
from trikk.core.errors import DefinitionError
from trikk.core.names import step_name
from trikk.models.predicting import sets_aside
from trikk.models.version import ModelVersion, as_version
from trikk.pipeline.location import caller
from trikk.pipeline.step import Step
from trikk.pipeline.table_reference import Table
from trikk.pipeline.tracing import current, when
from trikk.runs.context import current_step

if TYPE_CHECKING:
    import polars as pl

_LOG = logging.getLogger("trikk.shadow")


def shadow(
    model: Any,
    rows: Any,
    *,
    into: Table,
    key: str | Sequence[str],
    slot: str,
    keep: Sequence[str] = (),
    allow_nan: bool = False,
    on_invalid: str = "fail",
    invalid: Table | None = None,
    at_most: float = 1.0,
    timeout: Duration | None = None,
    name: str | None = None,
    step: str | None = None,
    after: object = (),
) -> Any:
    """Let a challenger predict, and append that to a table of its own. Two steps in a pipeline's body.

    Whatever goes wrong with the challenger (its model can't be loaded, the rows do not fit it, it raises, it gives
    NaN, it takes too long or too much memory) fails its step, and the run goes on without it (`allow_failure`).

    Args:
        model: as for `predict`; with `Model("people@challenger", optional=True)` nothing is done where there is no
            challenger.
        rows: as for `predict`.
        into: the table; not the one that the champion's predictions go to.
        key: as for `predict`.
        slot: as for `predict`.
        keep: as for `predict`.
        allow_nan: as for `predict`.
        on_invalid: as for `predict`.
        invalid: as for `predict`.
        at_most: as for `predict`.
        timeout: how long the challenger may take, such as "10m"; the pipeline's if not given.
        name: the step's name; "shadow", "shadow-2", ... if not given.
        step: the same, in older projects.
        after: steps that must be over before.

    Returns:
        In the run, how many rows were predicted.

    Raises:
        DefinitionError: outside of a pipeline.
    """
    # Outside of a pipeline there is nothing beside which it could run.
    if current() is None:
        mend = "call it in a pipeline's body; predict works anywhere"
        raise DefinitionError("shadow is a part of pipelines", where=caller(), next=mend)
    keys, kept = ([names] if isinstance(names, str) else list(names) for names in (key, keep))
    given = {"key": keys, "slot": slot, "keep": kept, "allow_nan": allow_nan, "into": into.table_name}
    options: dict[str, Any] = {"name": step_name(name, step), "after": after, "timeout": timeout}
    if not sets_aside(on_invalid, invalid, at_most):
        predicted, count = _SHADOW.options(**options)(model, rows, **given)
    else:
        predicted, count, aside, rejected = _SHADOW_VALID.options(**options)(model, rows, **given, at_most=at_most)
        _append_if(rejected, aside, invalid or Table("set_aside"))
    _append_if(count, predicted, into)
    return count


def _append_if(count: Any, rows: Any, table: Table) -> None:
    """Append rows where there are some: a challenger that fails or is absent must not make an empty table."""
    with when(count > 0):
        table.append(rows, schema_mode="merge")


def shadow_frame(
    model: ModelVersion | Any,
    frame: Any,
    *,
    key: list[str],
    slot: str,
    keep: list[str],
    allow_nan: bool = False,
    into: str | None = None,
) -> tuple[Any, int]:
    """The step of `shadow`: the challenger's predictions and how many they are; none where there is no challenger.

    Numbers come as Float64, so that challengers of several kinds share a table. A class stays what it is, unless
    the table has Float64 already, as older builds made it.
    """
    from trikk.models.batch_prediction import predict_frame

    if model is None:
        _LOG.info("there is no challenger")
        return _nothing(), 0
    return _counted(model, predict_frame(model, frame, key=key, slot=slot, keep=keep, allow_nan=allow_nan), into)


def shadow_valid(
    model: ModelVersion | Any, frame: Any, *, into: str | None = None, **how: Any
) -> tuple[Any, int, Any, int]:
    """The same, and the rows that can't be predicted, and how many these are."""
    from trikk.models.batch_prediction import predict_valid

    if model is None:
        _LOG.info("there is no challenger")
        return _nothing(), 0, _nothing(), 0
    predicted, aside, rejected = predict_valid(model, frame, **how)
    return *_counted(model, predicted, into), aside, rejected


def _counted(model: Any, predicted: pl.LazyFrame, into: str | None) -> tuple[pl.LazyFrame, int]:
    """The predictions as the table takes them, and how many they are."""
    import polars as pl

    if predicted.collect_schema()["value"].is_numeric() and not _keeps_classes(model, into):
        predicted = predicted.with_columns(pl.col("value").cast(pl.Float64))
    return predicted, int(predicted.select(pl.len()).collect().item())


def _keeps_classes(model: Any, into: str | None) -> bool:
    """Whether the values are classes, and the table takes them as they are."""
    import polars as pl

    version, context = as_version(model), current_step()
    if version is None or version.signature is None or version.signature.classes is None:
        return False
    if into is None or context is None or context.tables.version(into) is None:
        return True
    return bool(context.tables.scan(into).collect_schema().get("value") != pl.Float64)


def _nothing() -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(schema={"prediction_id": pl.String, "value": pl.Float64})


_SHADOW: Step[..., Any] = Step(shadow_frame, name="shadow", allow_failure=True)
_SHADOW_VALID: Step[..., Any] = Step(shadow_valid, name="shadow", allow_failure=True)
