"""Registering a fitted model: what it takes is found out by asking it, what it came from by asking the run."""

from __future__ import annotations

import contextlib
import logging
import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trikk.core.digests import digest_json
from trikk.core.errors import (
    MissingExtra,
    PermanentError,
    PredictionError,
    SignatureError,
    TrikkError,
    UsageError,
)
from trikk.core.values import JSON
from trikk.models.calling.classifier import Gives, classes_of, plain_values, stated_by
from trikk.models.calling.dtypes import dtype_text
from trikk.models.calling.invoke import (
    as_taken,
    called,
    class_answers,
    in_some_way,
    predictions,
    raw_values,
    ways_of,
)
from trikk.models.calling.libraries import is_of, lightgbm_of
from trikk.models.calling.model_columns import Fitted, fitted_on, inputs_of
from trikk.models.calling.outcome import as_series, dtype_of_classes, refuse_nan
from trikk.models.registry import Registry
from trikk.models.signature import MOST_CATEGORIES, Signature
from trikk.models.task import Classes, Task
from trikk.models.version import ModelVersion
from trikk.runs.context import StepContext, step_context
from trikk.runs.run_state import RunState
from trikk.storage.artifact import Artifact
from trikk.storage.artifacts import Artifacts
from trikk.storage.codecs.pickled import distribution_of
from trikk.storage.frames import lazy_of

if TYPE_CHECKING:
    import polars as pl

_SAMPLE = 1000
_ROUNDING = 1e-6
_LONGEST = 200  # bytes of a category
_FEWEST = 5  # rows, to compare means
_SURE = 4.0  # standard errors: a model that guesses gets past it, but for one in 30,000
_OWN = ("python", "trikk")
_LOG = logging.getLogger("trikk.models")


def register_given(model: Any, name: str, **about: Any) -> dict[str, Any]:
    """The step of `trikk.register_model`: the model is stored already, and the version names that artifact."""
    return register(model, name, **about, stored=step_context("register_model").given.get("model"))


def register(
    model: Any,
    name: str,
    *,
    inputs: Any = None,
    metrics: Mapping[str, Any] | None = None,
    description: str = "",
    nullable: Sequence[str] = (),
    method: str = "predict",
    task: str | None = None,
    positive: Any = None,
    classes: Sequence[Any] | None = None,
    stored: Artifact | None = None,
) -> dict[str, Any]:
    """Register a model as the next version of a name; see `trikk.register_model`. It may be `stored` already."""
    context = step_context("register_model")
    refuse_dry(context, f"model {name} is not registered")
    if model is None:
        raise UsageError(f"None can't be registered as {name}", next="give the fitted model")
    numbers_by_name = finite(metrics or {})
    said = {"task": task, "positive": positive, "classes": classes}
    said = {name: value for name, value in said.items() if value is not None}
    if said and inputs is None:
        raise UsageError(f"{next(iter(said))}= needs inputs=", next="give rows that the model was fitted on")
    if inputs is None and len(values := stated_by(model).values or ()) == 1:
        Classes(values)  # which says what is wrong with one class
    # before the model is stored (unless it is a step's result): one that can't predict leaves nothing behind
    signature = None if inputs is None else infer(model, inputs, nullable=nullable, method=method, **said)
    artifact = stored or context.artifacts.save(model)
    spare = None if signature is None else _exact_text(model, lazy_of(inputs), signature, context.artifacts)
    # told when there is still somebody who can act, and not a year later when it can't be read
    if artifact.codec == "pickle" and spare is None:
        _LOG.warning("%s", _bound_to(name, model, artifact))
    draft = replace(
        _of_run(context, name, artifact),
        signature=signature,
        metrics=numbers_by_name,
        description=description,
        spare=spare,
    )
    # what was said is left out where it is nothing, as in the digests of builds that knew no tasks
    before_tasks = None if signature is None else _before_tasks(signature, model, inputs)
    registered: list[JSON] = [
        artifact.digest,
        before_tasks,
        {**numbers_by_name},
        description,
        *([said] if said else []),
    ]
    identity = f"{context.identity}/{digest_json(registered)[:16]}"
    version = Registry(context.journal).register(draft, identity=identity)
    context.notes.append(f"{name} version {version.version}")
    return version.to_json()


def _of_run(context: StepContext, name: str, artifact: Artifact) -> ModelVersion:
    """A version, without a number, that has what is known of the run that registers it."""
    state = RunState.fold(context.recorded_in, context.journal.events(context.recorded_in))
    locked: Mapping[str, Any] = state.lock
    return ModelVersion(
        name=name,
        version=0,
        artifact=artifact,
        run=context.run,
        step=context.step,
        pipeline=context.pipeline,
        code=str(locked.get("code", "")),
        tables=dict(locked.get("tables", {})),
        models={reference: one and one["version"] for reference, one in locked.get("models", {}).items()},
        parameters=state.parameters,
        environment=context.environment,
        created=context.time(),
    )


def _before_tasks(signature: Signature, model: Any, inputs: Any) -> dict[str, Any]:
    """The signature as builds without classes recorded it: a run that they began gets its version again."""
    plain = replace(signature.with_categories({}), task=None, classes=None, probabilities=False)
    if signature.classes is not None:
        rows = lazy_of(inputs).select(signature.names).head(_SAMPLE).collect()
        with contextlib.suppress(TrikkError):  # they could not register it at all
            raw = raw_values(model, rows, signature.takes, signature.method, allow_nan=True)
            plain = replace(plain, output=replace(plain.output, dtype=dtype_text(raw)))
    return plain.to_json()


def _bound_to(name: str, model: Any, artifact: Artifact) -> str:
    """What a pickled model can only be read with, and what would outlive that."""
    packages: Any = artifact.summary.get("packages") or {}
    versions = [f"{distribution_of(package)} {packages[package]}" for package in packages if package not in _OWN]
    named = " or ".join([*versions, f"Python {packages.get('python')}"])
    better = lightgbm_of(model) is not None
    return f"model {name} is kept as a pickle, which another minor release of {named} may not read: " + (
        "register its booster_, which is kept as LightGBM's own text" if better else "keep its run's packages"
    )


def _exact_text(model: Any, inputs: pl.LazyFrame, signature: Signature, artifacts: Artifacts) -> Artifact | None:
    """The booster of an estimator of LightGBM, stored as text, if it gives exactly the same for the rows."""
    booster = None if is_of(model, "lightgbm", "Booster") else lightgbm_of(model)
    if booster is None or (signature.method != "predict" and signature.classes is None):
        return None
    saved = artifacts.save(booster)
    rows = inputs.select(signature.names).head(_SAMPLE).collect()
    try:
        one, two = (predictions(each, rows, signature, allow_nan=True) for each in (model, artifacts.load(saved)))
    except PredictionError:
        return None
    return saved if one.equals(two) else None


def infer(
    model: Any,
    inputs: Any,
    *,
    nullable: Sequence[str] = (),
    method: str = "predict",
    task: str | None = None,
    positive: Any = None,
    classes: Sequence[Any] | None = None,
) -> Signature:
    """The signature of a fitted model, found by letting it predict some of the rows that it was fitted on.

    Args:
        model: the model.
        inputs: a frame of any kind; columns that the model does not know by name are left out.
        nullable: inputs whose values may be missing although none of these is.
        method: what is called.
        task: as for `trikk.register_model`, and so are the others.
        positive: of two classes the one that probabilities are about.
        classes: where the model does not say them.

    Raises:
        SignatureError: if the columns are not those that the model was fitted on, or the task is not the model's.
        PredictionError: if the model can't predict these rows.
        UsageError: if which of two classes is positive is not known, or there is but one.
    """
    import polars as pl

    known = fitted_on(model)
    lazy = lazy_of(inputs)
    names = inputs_of(model, lazy.collect_schema().names(), known=known)
    lazy = lazy.select(names)
    sample = lazy.head(_SAMPLE).collect()
    if not sample.height:
        raise SignatureError("inputs has no rows to infer a signature from", next="give rows of the training data")
    kinds = lazy.collect_schema()
    empty = [
        (pl.col(n).is_null() | pl.col(n).is_nan()) if kinds[n].is_float() else pl.col(n).is_null() for n in names
    ]
    some = lazy.select(column.any() for column in empty).collect(engine="streaming").row(0)
    with_gaps = [name for name, has in zip(names, some, strict=True) if has]
    known_classes = _classes(model, inputs, sample, known, task=task, positive=positive, classes=classes)
    if known_classes is not None and known_classes.task is Task.MULTICLASS and method != "predict":
        raise SignatureError(
            f"{method} gives a probability for each of the classes {known_classes.listed}",
            next="leave out method=: predictions have the class and a column for each probability",
        )
    takes, output = _proved(model, inputs, sample, method, known_classes, known)
    _refuse_cases(output.columns)
    if known_classes is not None and output.width > 1:
        _refuse_order(output, known_classes)
    unknown = sorted(set(nullable) - set(names))
    given = Signature.infer(
        sample, output["value"], takes=takes, method=method, nullable=[*unknown, *with_gaps, *nullable]
    )
    given = given.with_categories(_categories(lazy))
    if known_classes is None:
        return replace(given, task=Task(task) if task else known.target.task)
    return replace(given, task=known_classes.task, classes=known_classes, probabilities=output.width > 1)


def _classes(
    model: Any, inputs: Any, sample: pl.DataFrame, known: Fitted, *, task: str | None, **said: Any
) -> Classes | None:
    """The model's classes; where neither it nor its author says them, those that its answers show for certain."""
    guessed = None
    stated = known.target
    wanted = Task(task) if task else None
    asked_for = stated.gives is Gives.SESSION or wanted is Task.BINARY
    if stated.values is None and said["classes"] is None and asked_for:
        ways = ways_of(model, inputs if is_of(inputs, "pandas") else sample)

        def ask(takes: str) -> pl.DataFrame:
            return raw_values(model, sample, takes, known=known).to_frame()

        takes, output = in_some_way(ways, ask)
        guessed = _guessed(output["value"])
        if stated.gives is Gives.SESSION:
            each = called(model, "run", as_taken(model, sample, takes, known), takes)[1]
            guessed = plain_values(each[0]) if isinstance(each, list) else None
    return classes_of(stated, task=wanted, guessed=guessed, **said)


def _refuse_cases(columns: Sequence[str]) -> None:
    """Raise UsageError if two columns differ in case only, since no table can hold both."""
    seen: dict[str, str] = {}
    for name in columns:
        if (twin := seen.setdefault(name.lower(), name)) != name:
            raise UsageError(
                f"two classes differ in case only, and no table has columns {twin!r} and {name!r}",
                next="give one of the classes another name before fitting",
            )


def _refuse_order(output: pl.DataFrame, classes: Classes) -> None:
    """Refuse probabilities that are lower where the model says their class: the classes are in another order.

    A model may say a class before it is the likeliest (a threshold of its own), but never the less, the likelier.
    """
    import numpy as np

    for name, value in classes.columns().items():
        likely, says = output[name].to_numpy(), (output["value"] == value).to_numpy()
        says_it, rest = likely[says], likely[~says]
        if min(len(says_it), len(rest)) < _FEWEST:
            continue
        gap = rest.mean() - says_it.mean()
        if gap > _ROUNDING and gap > _SURE * np.sqrt(says_it.var() / len(says_it) + rest.var() / len(rest)):
            raise SignatureError(
                f"the probability of {value!r} is {says_it.mean():.3g} on average where the model says {value!r}, "
                f"and {rest.mean():.3g} elsewhere, so that it is another class's",
                next="give classes= (or classes_) in the order of the model's probabilities",
            )


def _guessed(values: pl.Series) -> list[Any] | None:
    """Two classes that need not be said: false and true, or 0 and 1."""
    import polars as pl

    if values.dtype == pl.Boolean:
        return [False, True]
    return [0, 1] if values.dtype.is_integer() and values.is_in([0, 1]).all() else None


def _categories(rows: pl.LazyFrame) -> dict[str, list[str]]:
    """The texts of each column of texts or categories, in order; not of one that has very many, or long ones."""
    import polars as pl

    categories = {}
    for name, kind in rows.collect_schema().items():
        if kind in (pl.String, pl.Categorical):
            texts = rows.select(pl.col(name).cast(pl.String).drop_nulls().unique()).head(MOST_CATEGORIES + 1)
            values = texts.collect(engine="streaming").to_series()
            if len(values) <= MOST_CATEGORIES and not (values.str.len_bytes() > _LONGEST).any():
                categories[name] = values.sort().to_list()
    return categories


def _proved(
    model: Any, inputs: Any, sample: pl.DataFrame, method: str, classes: Classes | None, known: Fitted
) -> tuple[str, pl.DataFrame]:
    """How a model takes its rows, and what it gives for the sample: the columns of predictions.

    Rows are kept as polars has them, and a model gets them made from that. So it has to give the same as for the
    very frame that it was fitted on; and where both libraries' frames work, the same for both.

    Raises:
        SignatureError: if it does not.
        PredictionError: if it predicts in no way.
    """

    def answer(given: Any, takes: str) -> pl.DataFrame:
        if classes is not None:
            return class_answers(model, given, takes, method, classes, known=known)
        return as_series(called(model, method, given, takes), len(given), method).to_frame()

    def ask(takes: str) -> pl.DataFrame:
        output = answer(as_taken(model, sample, takes, known), takes)
        for column in output.get_columns():
            refuse_nan(column, None)
        return output

    ways = ways_of(model, inputs if is_of(inputs, "pandas") else sample)
    takes, output = in_some_way(ways, ask)
    second: pl.DataFrame | None = None
    if takes == "pandas" and is_of(inputs, "pandas"):
        second = answer(inputs[sample.columns].head(_SAMPLE), takes)
    elif takes == "polars" and hasattr(model, "feature_names_in_"):
        with contextlib.suppress(PredictionError, MissingExtra):
            second = answer(as_taken(model, sample, "pandas", known), "pandas")
    if second is not None:
        _refuse_difference(output, second, takes)
    if classes is None or known.target.gives is Gives.CLASSES:
        return takes, output
    with contextlib.suppress(PredictionError, UsageError):  # of many classes a booster gives no value but a matrix
        raw = raw_values(model, sample, takes, method, allow_nan=True, known=known).dtype
        wanted = raw if method == "predict_proba" else dtype_of_classes(classes, raw)
        output = output.with_columns(output["value"].cast(wanted))
    return takes, output


def _refuse_difference(output: pl.DataFrame, second: pl.DataFrame, takes: str) -> None:
    """Raise SignatureError if a model does not give the same from two frames."""
    for name in output.columns:
        row = first_difference(output[name], second[name])
        if row is None:
            continue
        given = (
            "a polars and from a pandas frame" if takes == "polars" else "the rows as they are kept and as given"
        )
        raise SignatureError(
            f"the model gives {output[name][row]!r} and {second[name][row]!r} for row {row} from {given}",
            next="give inputs= as the frame that it was fitted on: a pandas frame if that was one"
            if takes == "polars"
            else "fit it on text or numbers where there are categories or objects",
        )


def first_difference(one: pl.Series, two: pl.Series) -> int | None:
    """The first row in which two lists of values differ by more than rounding; None if none does."""
    import numpy as np
    import polars as pl

    if one.dtype.is_numeric() and two.dtype.is_numeric():
        first, second = (values.cast(pl.Float64).to_numpy() for values in (one, two))
        differs = ~np.isclose(first, second, rtol=_ROUNDING, atol=0, equal_nan=True)
    else:
        differs = one.ne_missing(two.cast(one.dtype)).to_numpy()
    return int(differs.argmax()) if differs.any() else None


def finite(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Metrics as plain floats.

    Raises:
        UsageError: if one is not a finite number; it is named.
    """
    if not isinstance(metrics, Mapping):
        raise UsageError(
            f"metrics are a dict of numbers, not a {type(metrics).__name__}", next='give {"mae": 1.5}'
        )
    floats: dict[str, float] = {}
    for name, value in metrics.items():
        good = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not (good and math.isfinite(value)):
            raise UsageError(
                f"the metric {name!r} is {value!r}, which is not a finite number", next="look at what computed it"
            )
        floats[str(name)] = float(value)
    return floats


def refuse_dry(context: StepContext, what: str) -> None:
    """Raise PermanentError where nothing outside of the run may be changed."""
    if context.dry:
        raise PermanentError(
            f"{what} in a replay",
            next="use it as a step of the pipeline, so that a replay takes its result as it was",
        )
