"""Calling a model, whatever made it: rows in, one value for each row out, or an error that says which row."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from trikk.core.errors import MissingExtra, PredictionError, SignatureError, TrikkError, UsageError
from trikk.models.calling.classifier import Gives, stated_by
from trikk.models.calling.dtypes import as_dtype, dtype_of, is_number
from trikk.models.calling.libraries import is_of, is_session
from trikk.models.calling.model_columns import Fitted, categories_of, inputs_of, is_coded
from trikk.models.calling.outcome import as_series, columns_of, refuse_nan
from trikk.models.signature import Signature
from trikk.models.task import Classes
from trikk.storage.codecs.pickled import note_of
from trikk.storage.frames import as_kind

if TYPE_CHECKING:
    import polars as pl

_GIVEN = {"array": "a numpy array", "polars": "a polars frame", "pandas": "a pandas frame"}


def predictions(
    model: Any,
    frame: pl.DataFrame,
    signature: Signature | None = None,
    *,
    keys: pl.DataFrame | None = None,
    allow_nan: bool = False,
    known: Fitted | None = None,
) -> pl.DataFrame:
    """What a model gives for each row: its value, and of a classifier the probabilities of its classes.

    Args:
        model: anything with the signature's method (`predict`), or a function of a polars frame.
        frame: the rows; with a signature, any frame that has its inputs, in any order.
        signature: what the model takes and gives; without one the frame is given as it is, and gives values only.
        keys: columns that name the rows in an error, as long as `frame`.
        allow_nan: whether NaN, infinities and nulls may come out; a missing probability is NaN.
        known: what `fitted_on` said of the model, for those who call it many times; it is asked if not given.

    Returns:
        As many rows as `frame`, with the columns of the signature's `outputs` in their types: `value`, of a
        classifier the class that the model says; and right after it a Float64 from 0 to 1 for each column of
        probabilities, if it gives them: `probability` (of the positive class) for two classes, else
        `probability_<class>` for each class, in the order of the classes.

    Raises:
        SignatureError: if the rows or the values do not fit the signature.
        PredictionError: if the model fails, gives another number of values, one that is not a number (unless it is
            allowed), a class that is not one of its classes, or probabilities that are none.
        UsageError: if it is nothing that predicts.
    """
    import polars as pl

    if signature is None or signature.classes is None:
        return _values(model, frame, signature, keys, known, allow_nan=allow_nan).to_frame()
    rows = signature.check(frame)
    if not frame.height:
        return pl.DataFrame(schema={field.name: dtype_of(field.dtype) for field in signature.outputs})
    columns = raw_predictions(model, rows, signature, keys=keys, known=known)
    if not allow_nan:
        for column in columns.get_columns():
            refuse_nan(column, keys)
    if columns.columns != [field.name for field in signature.outputs]:
        raise SignatureError(
            f"the model gives {', '.join(columns.columns)}, and when it was registered it gave "
            f"{', '.join(field.name for field in signature.outputs)}",
            next="register it again",
        )
    return columns.with_columns(as_dtype(columns["value"], "value", signature.output.dtype))


def raw_predictions(
    model: Any,
    rows: pl.DataFrame,
    signature: Signature,
    *,
    keys: pl.DataFrame | None = None,
    known: Fitted | None = None,
) -> pl.DataFrame:
    """The columns of `predictions` as the model gives them for rows of the right types: NaN and nulls come out."""
    if signature.classes is None:
        return raw_values(model, rows, signature.takes, signature.method, allow_nan=True, known=known).to_frame()
    given = as_taken(model, rows, signature.takes, known)
    return class_answers(
        model, given, signature.takes, signature.method, signature.classes, keys=keys, known=known
    )


def predict_values(
    model: Any,
    frame: pl.DataFrame,
    signature: Signature | None = None,
    *,
    keys: pl.DataFrame | None = None,
    allow_nan: bool = False,
    known: Fitted | None = None,
) -> pl.Series:
    """The column `value` of `predictions`; arguments and errors as there."""
    if signature is None or signature.classes is None:
        return _values(model, frame, signature, keys, known, allow_nan=allow_nan)
    return predictions(model, frame, signature, keys=keys, allow_nan=allow_nan, known=known)["value"]


def _values(
    model: Any,
    frame: pl.DataFrame,
    signature: Signature | None,
    keys: pl.DataFrame | None,
    known: Fitted | None,
    *,
    allow_nan: bool,
) -> pl.Series:
    """One value for each row of what is not a classifier, or of which it is not known."""
    import polars as pl

    rows = signature.check(frame) if signature else frame
    if frame.height == 0:
        return pl.Series("value", [], dtype_of(signature.output.dtype) if signature else pl.Float64)
    if signature:
        values = raw_values(model, rows, signature.takes, signature.method, allow_nan=True, known=known)
    else:

        def ask(takes: str) -> pl.DataFrame:
            return raw_values(model, rows, takes, allow_nan=True, known=known).to_frame()

        _, answers = in_some_way(ways_of(model, rows), ask)
        values = answers["value"]
    if not allow_nan:
        refuse_nan(values, keys)
    return as_dtype(values, "value", signature.output.dtype) if signature else values


def raw_values(
    model: Any,
    rows: pl.DataFrame,
    takes: str,
    method: str = "predict",
    *,
    allow_nan: bool = False,
    known: Fitted | None = None,
) -> pl.Series:
    """What a model gives for rows of the right types, one value for each; errors as for `predictions`.

    The columns come in any order: the model gets those that it was fitted on, in its own (`inputs_of`).
    """
    given = as_taken(model, rows, takes, known)
    values = as_series(called(model, method, given, takes), rows.height, method)
    if not allow_nan:
        refuse_nan(values, None)
    return values


def class_answers(
    model: Any,
    given: Any,
    takes: str,
    method: str,
    classes: Classes,
    *,
    keys: pl.DataFrame | None = None,
    known: Fitted | None = None,
) -> pl.DataFrame:
    """What a classifier gives for rows that are as it takes them (`as_taken`): the columns of `predictions`.

    The values are of a type of its classes, NaN and nulls come out; errors as for `predictions`.
    """
    stated = known.target if known else stated_by(model)

    def call(name: str, some: Any = given) -> Any:
        return called(model, name, some, takes)

    labels: Any = None
    matrix: Any = None
    if stated.gives is Gives.SESSION:
        labels, matrix = call("run")[:2]
    elif stated.gives is Gives.PROBABILITIES:
        matrix = call("predict")
    elif stated.gives is Gives.CLASSES or method == "predict":
        labels = None if stated.gives is Gives.LIKELIEST else call(method)
    if stated.gives in (Gives.BOTH, Gives.LIKELIEST):
        matrix = call("predict_proba")
    again = (lambda some: call("predict", some)) if stated.gives is Gives.LIKELIEST else None
    return columns_of(labels, matrix, given, classes, stated.values, method=method, keys=keys, again=again)


def in_some_way(ways: Sequence[str], ask: Callable[[str], pl.DataFrame]) -> tuple[str, pl.DataFrame]:
    """The first way to give the rows that the model can take, and what it gives; the first way's error if none."""
    first: PredictionError | None = None
    for takes in ways:
        try:
            return takes, ask(takes)
        except MissingExtra:
            if first is None:
                raise
        except PredictionError as error:
            first = first or error
    assert first is not None
    raise first


def ways_of(model: Any, inputs: Any) -> list[str]:
    """How a model may want its rows, the likeliest way first: "array", "polars" or "pandas".

    An estimator that was fitted on names gets a frame; which library's, it does not say, so that of `inputs` comes
    first. One that was fitted on an array, and a booster, gets an array if every input is a number. A booster with
    pandas categories gets those. Anything else gets a frame.
    """
    import polars as pl

    pandas = is_of(inputs, "pandas")
    frames = ["pandas", "polars"] if pandas else ["polars", "pandas"]
    if is_coded(model):
        return ["pandas"]
    booster = is_of(model, "lightgbm", "Booster") or is_of(model, "xgboost", "Booster") or is_session(model)
    if not booster and (hasattr(model, "feature_names_in_") or not hasattr(model, "n_features_in_")):
        return frames
    frame = pl.from_pandas(inputs) if pandas else inputs
    return ["array"] if all(is_number(dtype) for dtype in frame.dtypes) else frames


def called(model: Any, method: str, given: Any, takes: str) -> Any:
    """What a model's method gives for rows that are as it takes them.

    Raises:
        PredictionError: if the model fails.
        UsageError: if it has no such method.
    """
    call = caller_of(model, method)
    try:
        return call(given)
    # of the author's wrapper, which says better what is wrong
    except TrikkError:
        raise
    except Exception as error:
        raise PredictionError(
            f"the model ({type(model).__name__}) failed on {len(given):,} rows, given as "
            f"{_GIVEN[takes]}: {type(error).__name__}: {error}",
            next=note_of(model)
            or "try it on these rows by hand; if it was fitted on a frame of another library, register it with "
            "inputs= as such a frame",
        ) from error


def caller_of(model: Any, method: str) -> Any:
    """The function that takes rows and gives values; raises UsageError if the model has none.

    Args:
        model: the model.
        method: "predict", "predict_proba", or of an ONNX session "run" for all that it gives.
    """
    if is_session(model) and method in ("predict", "run"):
        run = functools.partial(_run_session, model)
        return run if method == "run" else lambda rows: run(rows)[0]
    method_ = getattr(model, method, None)
    if callable(method_):
        return functools.partial(_from_dmatrix, model, method_) if is_of(model, "xgboost", "Booster") else method_
    if method == "predict" and callable(model) and not isinstance(model, type):
        return model
    raise UsageError(
        f"a {type(model).__name__} has no {method}",
        next="give a model with predict, or a function of a frame; put anything else in a class with predict",
    )


def as_taken(model: Any, rows: pl.DataFrame, takes: str, known: Fitted | None = None) -> Any:
    """The rows as the model wants them, its columns in its order."""
    wanted = inputs_of(model, rows.columns, known=known)
    if wanted != rows.columns:  # a query wakes a thread, which is longer than many models take
        rows = rows.select(wanted)
    categories = categories_of(model, rows)
    if takes == "array" and not categories:
        return matrix(rows)
    if takes == "polars" and not categories:
        return rows
    frame = as_kind(rows, "pandas.DataFrame")
    for name, values in categories.items():
        frame[name] = _pandas_categorical(frame[name], values)
    return frame


def _pandas_categorical(values: Any, categories: list[Any]) -> Any:
    import pandas as pd

    return pd.Categorical(values.astype(object), categories=categories)


def _from_dmatrix(model: Any, predict: Any, rows: Any) -> Any:
    """XGBoost's own class takes nothing but its own matrix, which checks the names."""
    import numpy as np
    import xgboost

    if not isinstance(rows, np.ndarray):
        return predict(xgboost.DMatrix(rows, enable_categorical=True))
    return predict(xgboost.DMatrix(rows, feature_names=model.feature_names, feature_types=model.feature_types))


_ONNX = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(bool)": "bool",
    "tensor(string)": "object",
}


def _run_session(session: Any, rows: Any) -> Any:
    """ONNX: each named input its own column, or one input all of them; gives all outputs."""
    import numpy as np

    inputs = session.get_inputs()
    columns = [rows] if len(inputs) == 1 else np.hsplit(np.asarray(rows), len(inputs))
    given = {}
    for one, column in zip(inputs, columns, strict=True):
        if "int" in one.type and not np.isfinite(column.astype(float)).all():
            raise PredictionError(
                f"the model's input {one.name!r} takes whole numbers, and some are missing", next="fill them"
            )
        array = np.ascontiguousarray(column, dtype=_ONNX.get(one.type))
        given[one.name] = array if len(one.shape) > 1 else array.ravel()
    return session.run(None, given)


def matrix(rows: pl.DataFrame) -> Any:
    """Rows as a numpy matrix, float32 if every column is Float32, else float64; nulls become NaN.

    Raises:
        SignatureError: if a column holds no numbers.
    """
    import polars as pl

    for name, dtype in rows.schema.items():
        if not is_number(dtype):
            raise SignatureError(
                f"input {name!r} is {dtype}, and this model takes numbers only",
                field=name,
                next="encode it before fitting",
            )
    wanted = pl.Float32 if all(dtype == pl.Float32 for dtype in rows.dtypes) else pl.Float64
    return rows.cast(wanted).to_numpy()
