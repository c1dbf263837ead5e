"""Registered models: versions, signatures, aliases, promotion, batch prediction. What authors call is here."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from trikk.core.errors import DefinitionError, UsageError
from trikk.core.names import check_name, step_name
from trikk.models.metrics.own_metric import Metric
from trikk.models.promotion_rule import BetterBy, better_by
from trikk.models.version import ModelVersion
from trikk.pipeline.graph import Role
from trikk.pipeline.location import caller
from trikk.pipeline.step import Step
from trikk.pipeline.symbols import Symbol
from trikk.pipeline.table_reference import Table
from trikk.pipeline.tracing import current, when

__all__ = ["Metric", "ModelVersion", "better_by", "predict", "promote_if", "register_model"]


def register_model(
    model: Any,
    name: str,
    *,
    inputs: Any = None,
    metrics: Any = None,
    description: str = "",
    nullable: Sequence[str] = (),
    method: str = "predict",
    task: str | None = None,
    positive: Any = None,
    classes: Sequence[Any] | None = None,
    step: str | None = None,
    after: object = (),
) -> Any:
    """Register a fitted model as the next version (1, 2, ...) of a name. A step in a pipeline's body.

    The version names the model's artifact, the run and its code, parameters and data versions, the metrics and the
    signature, and never changes. A repeated or resumed step gets the version that it made before; a replay
    registers nothing.

    Args:
        model: anything with predict, or a function of a polars frame; an output of a step.
        name: the model's name.
        inputs: rows that the model was fitted on (a frame of any kind); the signature is inferred from them, by
            letting the model predict some. If the model was fitted on names, other columns are left out. Without
            rows the version has no signature, and nothing checks what it is given.
        metrics: finite numbers by name.
        description: in your words.
        nullable: inputs that may be missing in a row although none is in these.
        method: "predict"; or "predict_proba" where the value of a prediction shall be the probability of the
            positive class, and nothing else comes with it.
        task: "regression", "binary" or "multiclass", where the model does not say.
        positive: of two classes the one that `probability`, precision and recall are about; needed unless they are
            false and true, or 0 and 1.
        classes: the classes in the order of the model's probabilities, where it does not say them: texts, whole
            numbers or truth values. A model of the numbers 0, 1, 2, ... of encoded classes gets their names so.
        step: the step's name; "register_model", "register_model-2", ... if not given.
        after: steps that must be over before.

    Returns:
        In the run the version as a dict (`ModelVersion.to_json`); what takes a version takes this dict.

    Raises:
        UsageError: if a metric is no finite number, there is but one class, nobody says which of two is the
            positive one, or this is called outside of a run.
        SignatureError: if `inputs` are not what the model was fitted on, or `task` or `classes` not the model's.
        PredictionError: if the model can't predict these rows, gives NaN for them, a class that is none of its
            classes, or probabilities that are outside of 0 to 1 or together not 1.
        CodecError: if the model can't be stored.
    """
    _check("model", name)
    if method not in ("predict", "predict_proba"):
        raise DefinitionError(f"method={method!r}", where=caller(), next='use "predict" or "predict_proba"')
    about: dict[str, Any] = {
        "inputs": inputs,
        "metrics": metrics,
        "description": description,
        "nullable": _plain(nullable),
        "method": method,
        **_task(task, positive, classes),
    }
    if current() is None:
        from trikk.models.register import register

        return register(model, name, **about)
    return _steps()["register_model"].options(name=step, after=after)(model, name, **about)


def promote_if(
    rule: BetterBy,
    candidate: Any,
    *,
    rows: Any,
    target: str,
    alias: str = "champion",
    why: str = "",
    name: str | None = None,
    step: str | None = None,
    after: object = (),
) -> Any:
    """Move an alias to a version if it beats the holder on the same rows. A step in a pipeline's body.

    The first holder needs to beat nobody. Where the alias requires approval, the move waits for
    `trikk models approve NAME`.

    Args:
        rule: such as `better_by(0.02, metric="mae")`.
        candidate: what `register_model` returned, or a `Model`.
        rows: a frame or `Table` with the inputs of both versions and the truth; rows without a truth are left out.
        target: the column of the truth.
        alias: the alias.
        why: an addition to the reason that the rule gives.
        name: the step's name; "promote_if", "promote_if-2", ... if not given.
        step: the same, in older projects.
        after: steps that must be over before.

    Returns:
        In the run a dict: `state` ("promoted", "pending", "kept" or "same" where it is the holder), `promoted`,
        `reason`, `model`, `version`, `alias`, `environment`, and, where something was compared, `former`,
        `metric`, `candidate` and `holder` (their scores), `rows`, `dropped` and `rule`; of classifiers also
        `unseen_classes`: the classes that the truth has and a model does not know, as texts, with how many rows
        are of each. These count as wrong for it. The move's entry holds it too.

    Raises:
        UsageError: before anything is predicted, if the metric does not fit the task (the error names those that
            do), or the versions have no class in common, or another positive one of the same two.
        SignatureError: if the rows lack an input of either version, or the target.
        PredictionError: if a model gives NaN, no row has a truth, or the metric is made of probabilities and the
            truth has a class that neither model knows.
    """
    _check("alias", alias)
    if not isinstance(rule, BetterBy):
        raise DefinitionError(f"{rule!r} is no rule", where=caller(), next='use better_by(0.02, metric="mae")')
    made = _steps()["promote_if"].options(name=step_name(name, step), after=after)
    return made(rule.to_json(), candidate, rows, target=target, alias=alias, why=why)


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

    Returns:
        A polars LazyFrame over a file, rows in the order of `frame`, with the columns `prediction_id` (String, 32
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
    given = {"key": _plain(key), "slot": slot, "keep": _plain(keep), "allow_nan": allow_nan}
    called = step_name(name, step)
    if not sets_aside(on_invalid, invalid, at_most):
        return _steps()["predict"].options(name=called, after=after)(model, frame, **given)
    found, rejected, count = _steps()["predict_valid"].options(name=called, after=after)(
        model, frame, **given, at_most=at_most
    )
    if current() is not None:
        with when(count > 0):
            (invalid or Table("set_aside")).append(rejected, schema_mode="merge")
    return found


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
def _steps() -> Mapping[str, Step[..., Any]]:
    from trikk.models.predict import predict_frame, predict_valid
    from trikk.models.promote import promote
    from trikk.models.register import register_given

    return {
        "register_model": Step(register_given, name="register_model", effect=True),
        "promote_if": Step(promote, name="promote_if", effect=True),
        "predict": Step(predict_frame, name="predict", role=Role.PREDICTIONS),
        "predict_valid": Step(predict_valid, name="predict", role=Role.PREDICTIONS),
    }


def _task(task: object, positive: Any, classes: Any) -> dict[str, Any]:
    """What is said of a task, as JSON has it; nothing where nothing is said, as in steps of older builds."""
    from trikk.models.task import Task

    if task is not None and not isinstance(task, Symbol) and task not in [*Task]:
        raise DefinitionError(f"task={task!r}", where=caller(), next=f"use one of {', '.join(Task)}")
    if classes is not None and not isinstance(classes, Symbol):
        classes = [one.item() if hasattr(one, "item") else one for one in classes]
    if hasattr(positive, "item"):  # numpy's own
        positive = positive.item()
    said = {"task": str(task) if isinstance(task, Task) else task, "positive": positive, "classes": classes}
    return {name: value for name, value in said.items() if value is not None}


def _plain(names: object) -> object:
    """Names as JSON has them; a stand-in for names stays one."""
    return list(names) if isinstance(names, tuple) else names


def _check(kind: str, name: object) -> None:
    if isinstance(name, Symbol):  # a parameter; the registry looks at its value
        return
    try:
        check_name(kind, name)
    except UsageError as error:
        raise DefinitionError(error.what, where=caller(), next=error.next) from error
