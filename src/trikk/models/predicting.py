"""`predict`: a table's predictions, in batches."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from trikk.core.errors import DefinitionError
from trikk.core.names import step_name
from trikk.models.registering import plain_names
from trikk.pipeline.graph import Role
from trikk.pipeline.location import caller
from trikk.pipeline.policies import Resources
from trikk.pipeline.step import Step
from trikk.pipeline.symbols import Symbol
from trikk.pipeline.table_reference import Table
from trikk.pipeline.tracing import current, when


def predict(
    model: Any,
    frame: Any,
    *,
    key: str | Sequence[str],
    slot: str | None = None,
    keep: Sequence[str] = (),
    allow_nan: bool = False,
    on_invalid: str = "fail",
    invalid: Table | None = None,
    at_most: float = 1.0,
    name: str | None = None,
    step: str | None = None,
    after: object = (),
    resources: Resources | None = None,
) -> Any:
    """Predict a table of any size, in batches. A step in a pipeline's body.

    Args:
        model: a `Model`, what `register_model` returned, or a fitted model, which must take just the columns that
            are neither `key`, `slot` nor `keep`.
        frame: a `Table`, or a frame of any kind; it is read in pieces.
        key: the column or columns that name what a row is about: text, integers, dates, times or truth values.
        slot: the column with the time that the value is for.
        keep: more columns to keep, after the others.
        allow_nan: whether the model may give NaN, infinities and nulls.
        on_invalid: "fail", or "set aside": rows that can't be predicted don't stop the others. Those are rows with
            a key that is empty or came before, with an input that is missing, of no value of its type or not
            finite where the model doesn't take that, on which the model fails, or of which it says nothing.
        invalid: the table that these are appended to, "set_aside" if not given: as that of a quarantine, `at`,
            `run`, `pipeline`, `gate` (the step), `reason` and `row` (JSON text), and the key, the slot and the
            columns to keep. Outside of a pipeline no table is written.
        at_most: the share of the rows, 0 to 1, that may be set aside; if there are more, the step fails.
        name: the step's name; "predict", "predict-2", ... if not given.
        step: the same, in older projects.
        after: steps that must be over before.
        resources: what the step takes; the model may use as many threads as `cpus`, which is 1 if not given.

    Returns:
        A polars LazyFrame, rows in the order of `frame`, with the columns `prediction_id` (String, 32
        hexadecimal characters, the same whenever this step of this run is repeated), the key, the slot,
        `predicted_at` (Datetime in UTC: when the run was created), `value`, `model` (String), `model_version`
        (Int64, null for a model that is not registered), `run` (String), and those to keep.

    Raises:
        UsageError: if a key is missing; and, unless it is set aside, empty or twice.
        SignatureError: if the rows do not fit the model's signature; the input is named.
        PredictionError: if the model gives NaN; the first such row's key is named. With rows set aside: if there
            are more than `at_most`, or the model fails on all rows.
        DefinitionError: if `on_invalid` is neither, or what belongs to it is given without it.
    """
    given = {"key": plain_names(key), "slot": slot, "keep": plain_names(keep), "allow_nan": allow_nan}
    options: dict[str, Any] = {"name": step_name(name, step), "after": after, "resources": resources}
    if not sets_aside(on_invalid, invalid, at_most):
        return _step().options(**options)(model, frame, **given)
    predicted, rejected, count = _step_of_valid().options(**options)(model, frame, **given, at_most=at_most)
    if current() is not None:
        with when(count > 0):
            (invalid or Table("set_aside")).append(rejected, schema_mode="merge")
    return predicted


def sets_aside(on_invalid: object, invalid: object, at_most: object) -> bool:
    """Whether invalid rows are set aside; DefinitionError if something about that can't work."""
    if on_invalid not in ("fail", "set aside"):
        raise DefinitionError(
            f"on_invalid={on_invalid!r}", where=caller(), next='use on_invalid="fail" or on_invalid="set aside"'
        )
    if invalid is not None and not isinstance(invalid, Table):
        raise DefinitionError(
            f"invalid={invalid!r}", where=caller(), next='give a table: invalid=Table("set_aside")'
        )
    is_share = isinstance(at_most, int | float) and not isinstance(at_most, bool) and 0 <= at_most <= 1
    if not is_share and not isinstance(at_most, Symbol):
        raise DefinitionError(f"at_most={at_most!r}", where=caller(), next="give a share of the rows, 0 to 1")
    wanted = on_invalid == "set aside"
    if not wanted and (invalid is not None or isinstance(at_most, Symbol) or at_most != 1):
        raise DefinitionError(
            "invalid= and at_most= are for rows that are set aside",
            where=caller(),
            next='add on_invalid="set aside"',
        )
    return wanted


@functools.cache
def _step() -> Step[..., Any]:
    from trikk.models.batch_prediction import predict_frame

    return Step(predict_frame, name="predict", role=Role.PREDICTIONS)


@functools.cache
def _step_of_valid() -> Step[..., Any]:
    from trikk.models.batch_prediction import predict_valid

    return Step(predict_valid, name="predict", role=Role.PREDICTIONS)
