"""Registering a fitted model: what it takes is found out by asking it, what it came from by asking the run."""

from __future__ import annotations

import contextlib
import logging
import math
import numbers
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trikk.core.digests import digest_json
from trikk.core.errors import MissingExtra, PermanentError, PredictionError, SignatureError, UsageError
from trikk.models.columns import booster_of, inputs_of, is_of
from trikk.models.invoke import as_series, caller_of, raw_values, tried_values, ways_of
from trikk.models.registry import Registry
from trikk.models.signature import MOST_CATEGORIES, Signature
from trikk.models.version import ModelVersion
from trikk.runs.context import StepContext, step_context
from trikk.runs.state import RunState
from trikk.storage.artifact import Artifact
from trikk.storage.artifacts import Artifacts
from trikk.storage.codecs.pickled import distribution_of
from trikk.storage.frames import lazy_of

if TYPE_CHECKING:
    import polars as pl

_SAMPLE = 1000
_ROUNDING = 1e-6
_LONGEST = 200  # bytes of a category
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
    stored: Artifact | None = None,
) -> dict[str, Any]:
    """Register a model as the next version of a name; see `trikk.register_model`. It may be `stored` already."""
    context = step_context("register_model")
    refuse_dry(context, f"model {name} is not registered")
    if model is None:
        raise UsageError(f"None can't be registered as {name}", next="give the fitted model")
    numbers_by_name = finite(metrics or {})
    signature = None if inputs is None else infer(model, inputs, nullable=nullable, method=method)
    artifact = stored or context.artifacts.save(model)
    spare = None if signature is None else _exact_text(model, lazy_of(inputs), signature, context.artifacts)
    if artifact.codec == "pickle" and spare is None:
        _LOG.warning("%s", _bound_to(name, model, artifact))
    state = RunState.fold(context.recorded_in, context.journal.events(context.recorded_in))
    locked: Mapping[str, Any] = state.lock
    made = ModelVersion(
        name=name,
        version=0,
        artifact=artifact,
        signature=signature,
        run=context.run,
        step=context.step,
        pipeline=context.pipeline,
        code=str(locked.get("code", "")),
        tables=dict(locked.get("tables", {})),
        models={ref: found and found["version"] for ref, found in locked.get("models", {}).items()},
        parameters=state.parameters,
        metrics=numbers_by_name,
        description=description,
        environment=context.environment,
        created=context.time(),
        spare=spare,
    )
    taken = (
        None if signature is None else signature.with_categories({}).to_json()
    )  # as it was before these were kept
    shown = digest_json([artifact.digest, taken, {**numbers_by_name}, description])
    version = Registry(context.journal).register(made, identity=f"{context.identity}/{shown[:16]}")
    context.notes.append(f"{name} version {version.version}")
    return version.to_json()


def _bound_to(name: str, model: Any, artifact: Artifact) -> str:
    """What a pickled model can only be read with, and what would outlive that."""
    packages: Any = artifact.summary.get("packages") or {}
    versions = [f"{distribution_of(package)} {packages[package]}" for package in packages if package not in _OWN]
    named = " or ".join([*versions, f"Python {packages.get('python')}"])
    better = booster_of(model) is not None
    return f"model {name} is kept as a pickle, which another minor release of {named} may not read: " + (
        "register its booster_, which is kept as LightGBM's own text" if better else "keep its run's packages"
    )


def _exact_text(model: Any, inputs: pl.LazyFrame, signature: Signature, artifacts: Artifacts) -> Artifact | None:
    """The booster of an estimator of LightGBM, stored as text, if it gives exactly the same for the rows."""
    booster = None if is_of(model, "lightgbm", "Booster") else booster_of(model)
    if booster is None or signature.method != "predict":
        return None
    saved = artifacts.save(booster)
    rows = inputs.select(signature.names).head(_SAMPLE).collect()
    try:
        one, two = (
            raw_values(each, rows, signature.takes, allow_nan=True) for each in (model, artifacts.load(saved))
        )
    except PredictionError:
        return None
    return saved if one.equals(two) else None


def infer(model: Any, inputs: Any, *, nullable: Sequence[str] = (), method: str = "predict") -> Signature:
    """The signature of a fitted model, found by letting it predict some of the rows that it was fitted on.

    Args:
        model: the model.
        inputs: a frame of any kind; columns that the model does not know by name are left out.
        nullable: inputs whose values may be missing although none of these is.
        method: what is called.

    Raises:
        SignatureError: if the columns are not those that the model was fitted on.
        PredictionError: if the model can't predict these rows.
    """
    import polars as pl

    lazy = lazy_of(inputs)
    names = inputs_of(model, lazy.collect_schema().names())
    lazy = lazy.select(names)
    sample = lazy.head(_SAMPLE).collect()
    if not sample.height:
        raise SignatureError("inputs has no rows to infer a signature from", next="give rows of the training data")
    kinds = lazy.collect_schema()
    empty = [
        (pl.col(n).is_null() | pl.col(n).is_nan()) if kinds[n].is_float() else pl.col(n).is_null() for n in names
    ]
    some = lazy.select(column.any() for column in empty).collect(engine="streaming").row(0)
    found = [name for name, has in zip(names, some, strict=True) if has]
    takes, output = _proved(model, inputs, sample, method)
    unknown = sorted(set(nullable) - set(names))
    given = Signature.infer(sample, output, takes=takes, method=method, nullable=[*unknown, *found, *nullable])
    return given.with_categories(_categories(lazy))


def _categories(rows: pl.LazyFrame) -> dict[str, list[str]]:
    """The texts of each column of texts or categories, in order; not of one that has very many, or long ones."""
    import polars as pl

    found = {}
    for name, kind in rows.collect_schema().items():
        if kind in (pl.String, pl.Categorical):
            texts = rows.select(pl.col(name).cast(pl.String).drop_nulls().unique()).head(MOST_CATEGORIES + 1)
            values = texts.collect(engine="streaming").to_series()
            if len(values) <= MOST_CATEGORIES and not (values.str.len_bytes() > _LONGEST).any():
                found[name] = values.sort().to_list()
    return found


def _proved(model: Any, inputs: Any, sample: pl.DataFrame, method: str) -> tuple[str, pl.Series]:
    """How a model takes its rows, and what it gives for the sample.

    Rows are kept as polars has them, and a model gets them made from that. So it has to give the same as for the
    very frame that it was fitted on; and where both libraries' frames work, the same for both.

    Raises:
        SignatureError: if it does not.
        PredictionError: if it predicts in no way.
    """
    ways = ways_of(model, inputs if is_of(inputs, "pandas") else sample)
    takes, output = tried_values(model, sample, ways, method)
    second: pl.Series | None = None
    if takes == "pandas" and is_of(inputs, "pandas"):
        frame = inputs[sample.columns].head(_SAMPLE)
        second = as_series(caller_of(model, method)(frame), len(frame), method)
    elif takes == "polars" and hasattr(model, "feature_names_in_"):
        with contextlib.suppress(PredictionError, MissingExtra):
            second = raw_values(model, sample, "pandas", method, allow_nan=True)
    row = None if second is None else first_difference(output, second)
    if second is not None and row is not None:
        given = (
            "a polars and from a pandas frame" if takes == "polars" else "the rows as they are kept and as given"
        )
        raise SignatureError(
            f"the model gives {output[row]!r} and {second[row]!r} for row {row} from {given}",
            next="give inputs= as the frame that it was fitted on: a pandas frame if that was one"
            if takes == "polars"
            else "fit it on text or numbers where there are categories or objects",
        )
    return takes, output


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
        UsageError: if one is no finite number; it is named.
    """
    if not isinstance(metrics, Mapping):
        raise UsageError(
            f"metrics are a dict of numbers, not a {type(metrics).__name__}", next='give {"mae": 1.5}'
        )
    found: dict[str, float] = {}
    for name, value in metrics.items():
        good = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not (good and math.isfinite(value)):
            raise UsageError(
                f"the metric {name!r} is {value!r}, which is no finite number", next="look at what computed it"
            )
        found[str(name)] = float(value)
    return found


def refuse_dry(context: StepContext, what: str) -> None:
    """Raise PermanentError where nothing outside of the run may be changed."""
    if context.dry:
        raise PermanentError(
            f"{what} in a replay",
            next="use it as a step of the pipeline, so that a replay takes its result as it was",
        )
