"""Calling a model, whatever made it: rows in, one value for each row out, or an error that says which row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trikk.core.errors import PredictionError, SignatureError, TrikkError, UsageError
from trikk.models.dtypes import as_dtype, dtype_of, is_number
from trikk.models.signature import Signature

if TYPE_CHECKING:
    import polars as pl


def predict_values(
    model: Any,
    frame: pl.DataFrame,
    signature: Signature | None = None,
    *,
    keys: pl.DataFrame | None = None,
    allow_nan: bool = False,
) -> pl.Series:
    """What a model gives for each row.

    Args:
        model: anything with the signature's method (`predict`), or a function of a polars frame.
        frame: the rows; with a signature, any frame that has its inputs, in any order.
        signature: what the model takes; without one the frame is given as it is.
        keys: columns that name the rows in an error, as long as `frame`.
        allow_nan: whether NaN, infinities and nulls may come out.

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
    takes = signature.takes if signature else takes_of(model, rows)
    method = signature.method if signature else "predict"
    if frame.height == 0:
        return pl.Series("value", [], dtype_of(signature.output.dtype) if signature else pl.Float64)
    values = raw_values(model, rows, takes, method, allow_nan=True)
    if not allow_nan:
        _refuse_nan(values, keys)
    return as_dtype(values, "value", signature.output.dtype) if signature else values


def raw_values(
    model: Any, rows: pl.DataFrame, takes: str, method: str = "predict", *, allow_nan: bool = False
) -> pl.Series:
    """What a model gives for rows that are as it wants them; arguments and errors as for `predict_values`."""
    call = caller_of(model, method)
    try:
        given = call(_arranged(rows, takes))
    except TrikkError:
        raise
    except Exception as error:
        raise PredictionError(
            f"the model ({type(model).__name__}) failed on {rows.height:,} rows: {type(error).__name__}: {error}",
            next="try it on these rows by hand; its signature says what it was fitted on",
        ) from error
    values = _series(given, rows.height, method)
    if not allow_nan:
        _refuse_nan(values, None)
    return values


def takes_of(model: Any, inputs: Any) -> str:
    """How a model wants its rows: "array", "polars" or "pandas".

    An estimator that was fitted on names gets them, of the same library as `inputs`; one that was fitted on an
    array, and a LightGBM booster, gets an array if every input is a number; anything else gets a frame.
    """
    import polars as pl

    pandas = type(inputs).__module__.partition(".")[0] == "pandas"
    kind = "pandas" if pandas else "polars"
    if getattr(model, "feature_names_in_", None) is not None:
        return kind
    booster = type(model).__name__ == "Booster" and type(model).__module__.partition(".")[0] == "lightgbm"
    if not (booster or hasattr(model, "n_features_in_")):
        return kind
    frame = pl.from_pandas(inputs) if pandas else inputs
    return "array" if all(is_number(dtype) for dtype in frame.dtypes) else kind


def caller_of(model: Any, method: str) -> Any:
    """The function that takes rows and gives values; raises UsageError if the model has none."""
    found = getattr(model, method, None)
    if callable(found):
        return found
    if method == "predict" and callable(model) and not isinstance(model, type):
        return model
    raise UsageError(
        f"a {type(model).__name__} has no {method}",
        next="give a model with predict, or a function of a frame; put anything else in a class with predict",
    )


def _arranged(rows: pl.DataFrame, takes: str) -> Any:
    if takes == "array":
        return matrix(rows)
    if takes == "pandas":
        from trikk.storage.frames import as_wanted

        return as_wanted(rows.lazy(), _pandas_frame())
    return rows


def _pandas_frame() -> Any:
    try:
        from pandas import DataFrame
    except ImportError:
        from trikk.core.errors import MissingExtra

        raise MissingExtra("a model that was fitted on pandas frames", "pandas") from None
    return DataFrame


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


def _series(given: Any, rows: int, method: str) -> pl.Series:
    """What a model gave as one Series."""
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
