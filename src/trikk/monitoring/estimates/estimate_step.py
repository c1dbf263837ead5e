"""`estimate_error`: rows to predict get a column with the error to expect, shown by a monitor before labels."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trikk.core.errors import SignatureError, UsageError
from trikk.core.names import step_name
from trikk.models.version import ModelVersion, as_version
from trikk.pipeline.step import Step
from trikk.runs.context import current_step

if TYPE_CHECKING:
    import polars as pl

    from trikk.models.calling.model_columns import Fitted
    from trikk.models.signature import Signature

COLUMN = "expected_error"
_LOG = logging.getLogger("trikk.estimate")


def estimate_error(
    model: Any,
    holdout: Any,
    rows: Any,
    *,
    truth: str,
    also: Sequence[str] = (),
    least: int = 200,
    name: str | None = None,
    step: str | None = None,
    after: object = (),
) -> Any:
    """Say how wrong a model is likely to be about each row. A step in a pipeline's body.

    A second model learns the first one's absolute error on rows whose truth is known. They have to be rows that
    the model was NOT fitted on, as recent as there are; else the estimate is too low. Keep the column with the
    predictions, `predict(model, rows, ..., keep=["expected_error"])`, and name it to the monitor:
    `Monitor(..., expected_error="expected_error")`.

    Args:
        model: a `Model`, what `register_model` returned, or a model fitted on named columns.
        holdout: a frame or `Table` with the model's inputs and the truth; rows without a truth are left out.
        rows: a frame or `Table` with the model's inputs: what is to be predicted.
        truth: the holdout's column of the truth.
        also: more columns of both that errors may depend on, such as the key.
        least: how many rows with a truth are asked for; with fewer, the column is empty.
        name: the step's name; "estimate_error", "estimate_error-2", ... if not given.
        step: the same, in older projects.
        after: steps that must be over before.

    Returns:
        The rows, in their order, with one more column `expected_error` (Float64): the expected absolute error, in
        units of the prediction.

    Raises:
        SignatureError: if the rows do not fit the model, or lack the truth.
        UsageError: if it is not known which columns are the model's inputs.
        MissingExtra: if scikit-learn is not there.
    """
    configured = _steps()["estimate_error"].options(name=step_name(name, step), after=after)
    names = list(also) if isinstance(also, tuple) else also
    return configured(model, holdout, rows, truth=truth, also=names, least=least)


def estimate_frame(
    model: ModelVersion | Any, holdout: Any, rows: Any, *, truth: str, also: Sequence[str] = (), least: int = 200
) -> Any:
    """The step of `estimate_error`."""
    import polars as pl

    from trikk.models.calling.model_columns import fitted_on
    from trikk.monitoring.estimates.error_model import ErrorModel
    from trikk.storage.frames import lazy_of
    from trikk.storage.row_batches import batches

    context = current_step()
    version = as_version(model)
    fitted = model if version is None else version.load(context.artifacts if context else None)
    signature = None if version is None else version.signature
    past, ahead = lazy_of(holdout), lazy_of(rows)
    about = fitted_on(fitted)
    names = _inputs(fitted, about, signature, past.collect_schema().names())
    for frame, needed in ((past, [*names, *also, truth]), (ahead, [*names, *also])):
        _check(frame.collect_schema().names(), needed)
    given = list(dict.fromkeys([*names, *also]))
    known = past.select(list(dict.fromkeys([*given, truth]))).collect()
    known = known.filter(pl.col(truth).is_not_null() & pl.col(truth).cast(pl.Float64).is_finite())
    if known.height < least:
        _LOG.warning("%d rows have a truth, %d are asked for: no error is expected", known.height, least)
        return ahead.with_columns(pl.lit(None, pl.Float64).alias(COLUMN))
    seen = _values(fitted, about, signature, names, known)
    right = seen.is_finite()
    learned = ErrorModel().fit(known.select(given).filter(right), seen.filter(right), known[truth].filter(right))
    folder = context.artifacts.scratch() if context else None
    parts: list[Any] = []
    for batch in batches(ahead):
        value = _values(fitted, about, signature, names, batch)
        part = batch.with_columns(learned.expect(batch.select(given), value).alias(COLUMN))
        if folder is None:
            parts.append(part.lazy())
        else:
            parts.append(folder / f"{len(parts):06}.arrow")
            part.write_ipc(parts[-1])
    if not parts:
        return ahead.with_columns(pl.lit(None, pl.Float64).alias(COLUMN))
    return pl.concat(parts) if folder is None else pl.scan_ipc(parts, glob=False)


def _values(
    model: Any, about: Fitted, signature: Signature | None, names: list[str], rows: pl.DataFrame
) -> pl.Series:
    import polars as pl

    from trikk.models.calling.invoke import predict_values

    given = rows if signature else rows.select(names)
    values = predict_values(model, given, signature, allow_nan=True, known=about)
    return values.cast(pl.Float64).fill_null(float("nan"))


def _inputs(model: Any, about: Fitted, signature: Signature | None, columns: list[str]) -> list[str]:
    from trikk.models.calling.model_columns import inputs_of

    if signature is not None:
        return signature.names
    if about.names is None:
        raise UsageError(
            f"which columns are the inputs of this {type(model).__name__} is not known",
            next="register it with inputs=, or fit it on a frame with names",
        )
    return inputs_of(model, columns, about.names, about)


def _check(columns: list[str], needed: Sequence[str]) -> None:
    for name in needed:
        if name not in columns:
            raise SignatureError(
                f"the rows have no column {name!r}", field=name, next=f"there are: {', '.join(columns)}"
            )


@functools.cache
def _steps() -> dict[str, Step[..., Any]]:
    return {"estimate_error": Step(estimate_frame, name="estimate_error")}
