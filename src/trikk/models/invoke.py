"""Calling a model, whatever made it: rows in, one value for each row out, or an error that says which row."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trikk.core.errors import MissingExtra, PredictionError, SignatureError, TrikkError, UsageError
from trikk.models.columns import Fitted, categories_of, inputs_of, is_coded, is_of, is_session
from trikk.models.dtypes import as_dtype, dtype_of, is_number
from trikk.models.signature import Signature
from trikk.storage.codecs.pickled import note_of
from trikk.storage.frames import as_kind

if TYPE_CHECKING:
    import polars as pl

_GIVEN = {"array": "a numpy array", "polars": "a polars frame", "pandas": "a pandas frame"}


def predict_values(
    model: Any,
    frame: pl.DataFrame,
    signature: Signature | None = None,
    *,
    keys: pl.DataFrame | None = None,
    allow_nan: bool = False,
    known: Fitted | None = None,
) -> pl.Series:
    """What a model gives for each row.

    Args:
        model: anything with the signature's method (`predict`), or a function of a polars frame.
        frame: the rows; with a signature, any frame that has its inputs, in any order.
        signature: what the model takes; without one the frame is given as it is.
        keys: columns that name the rows in an error, as long as `frame`.
        allow_nan: whether NaN, infinities and nulls may come out.
        known: what `fitted_on` said of the model, for those who call it many times; it is asked if not given.

    Returns:
        A Series "value", as long as the frame, of the signature's output type if there is one.

    Raises:
        SignatureError: if the rows or the values do not fit the signature.
        PredictionError: if the model fails, gives another number of values, or one that is no number (unless
            that is allowed).
        UsageError: if it is nothing that predicts.
    """
    import polars as pl

    rows = signature.check(frame) if signature else frame
    if frame.height == 0:
        return pl.Series("value", [], dtype_of(signature.output.dtype) if signature else pl.Float64)
    if signature:
        values = raw_values(model, rows, signature.takes, signature.method, allow_nan=True, known=known)
    else:
        _, values = tried_values(model, rows, ways_of(model, rows), allow_nan=True, known=known)
    if not allow_nan:
        _refuse_nan(values, keys)
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
    """What a model gives for rows of the right types; arguments and errors as for `predict_values`.

    The columns come in any order: the model gets those that it was fitted on, in its own (`inputs_of`).
    """
    call = caller_of(model, method)
    wanted = inputs_of(model, rows.columns, known=known)
    if wanted != rows.columns:  # a query wakes a thread, which is longer than many models take
        rows = rows.select(wanted)
    arranged = _arranged(model, rows, takes)
    try:
        given = call(arranged)
    except TrikkError:
        raise
    except Exception as error:
        raise PredictionError(
            f"the model ({type(model).__name__}) failed on {rows.height:,} rows, given as "
            f"{_GIVEN[takes]}: {type(error).__name__}: {error}",
            next=note_of(model)
            or "try it on these rows by hand; if it was fitted on a frame of another library, register it with "
            "inputs= as such a frame",
        ) from error
    values = as_series(given, rows.height, method)
    if not allow_nan:
        _refuse_nan(values, None)
    return values


def tried_values(
    model: Any,
    rows: pl.DataFrame,
    ways: Sequence[str],
    method: str = "predict",
    *,
    allow_nan: bool = False,
    known: Fitted | None = None,
) -> tuple[str, pl.Series]:
    """The first way to give the rows that the model can take, and its values; the first way's error if none."""
    first: PredictionError | None = None
    for takes in ways:
        try:
            return takes, raw_values(model, rows, takes, method, allow_nan=allow_nan, known=known)
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


def caller_of(model: Any, method: str) -> Any:
    """The function that takes rows and gives values; raises UsageError if the model has none."""
    if method == "predict" and is_session(model):
        return functools.partial(_run_session, model)
    found = getattr(model, method, None)
    if callable(found):
        return functools.partial(_from_dmatrix, model, found) if is_of(model, "xgboost", "Booster") else found
    if method == "predict" and callable(model) and not isinstance(model, type):
        return model
    raise UsageError(
        f"a {type(model).__name__} has no {method}",
        next="give a model with predict, or a function of a frame; put anything else in a class with predict",
    )


def _arranged(model: Any, rows: pl.DataFrame, takes: str) -> Any:
    """The rows as the model wants them, its columns in its order."""
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
    """ONNX: each named input its own column, or one input all of them; the first output is the value."""
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
    return session.run(None, given)[0]


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


def as_series(given: Any, rows: int, method: str = "predict") -> pl.Series:
    """What a model gave as one Series "value".

    Raises:
        PredictionError: if it is not one value for each of so many rows.
    """
    import numpy as np
    import polars as pl

    if isinstance(given, pl.Series):
        values = given.alias("value")
    else:
        array = np.asarray(given)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        elif array.ndim == 2 and array.shape[1] == 2 and method == "predict_proba":
            array = array[:, 1]
        if array.ndim != 1:
            raise PredictionError(
                f"the model gave values of shape {array.shape} for {rows:,} rows",
                next="give one value for each row: wrap the model in a class whose predict picks it",
            )
        values = pl.Series("value", array.tolist() if array.dtype == object else array)
    if len(values) != rows:
        raise PredictionError(
            f"the model gave {len(values):,} values for {rows:,} rows", next="give one value for each row"
        )
    return values


def _refuse_nan(values: pl.Series, keys: pl.DataFrame | None) -> None:
    bad = values.is_null()
    if values.dtype.is_float():
        bad = bad | ~values.is_finite().fill_null(value=True)
    count = int(bad.sum())
    if not count:
        return
    row = bad.arg_max() or 0
    named = (
        "" if keys is None else ", ".join(f"{name}={value}" for name, value in keys.row(row, named=True).items())
    )
    raise PredictionError(
        f"the model gave no number for {count:,} of {len(values):,} rows, "
        f"first {values[row]} for {named or f'row {row}'}",
        next="mend the inputs of these rows, or give allow_nan=True",
    )
