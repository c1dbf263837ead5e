"""What a model gave, as columns: a value for each row, and of a classifier the probabilities of its classes.

A probability that is none (above 1, or together not 1) is refused with the row's key: it would go on into
thresholds, costs and estimates, and nothing there could tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from trikk.core.errors import PredictionError
from trikk.models.task import Classes, class_text

if TYPE_CHECKING:
    import polars as pl

_ROUNDING = 1e-4  # of the sum of many float32
_FEW = 1000
_TIE = 1e-5  # of a sum of float32, and of scores that are equal but for rounding


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
                next="give one value for each row: wrap a model of several outputs or labels in a class whose "
                "predict picks one",
            )
        values = pl.Series("value", array.tolist() if array.dtype == object else array)
    if len(values) != rows:
        raise PredictionError(
            f"the model gave {len(values):,} values for {rows:,} rows", next="give one value for each row"
        )
    return values


def refuse_nan(values: pl.Series, keys: pl.DataFrame | None) -> None:
    """Raise PredictionError where a value is null, NaN or infinite; the first such row is named."""
    bad = values.is_null()
    if values.dtype.is_float():
        bad = bad | ~values.is_finite().fill_null(value=True)
    count = int(bad.sum())
    if not count:
        return
    row = bad.arg_max() or 0
    raise PredictionError(
        f"the model gave no number for {count:,} of {len(values):,} rows, "
        f"first {values[row]} for {row_name(row, keys)}",
        next="mend the inputs of these rows, or give allow_nan=True",
    )


def matrix_of(given: Any, classes: Classes, rows: int) -> Any:
    """Probabilities as a numpy array of float64, a column for each class in order; a row has all or none.

    Args:
        given: an array of a column for each class, or of the second of two alone; or, as ONNX has it, a dict of
            each class's for each row.
        classes: the classes in the order of the columns.
        rows: how many there should be.

    Raises:
        PredictionError: if there are not as many rows, or not as many columns as classes.
    """
    import numpy as np

    if isinstance(given, list) and given and isinstance(given[0], dict):
        by_text = {class_text(key): key for key in given[0]}
        keys = [by_text[text] for text in classes.texts] if set(by_text) == {*classes.texts} else [*given[0]]
        given = [[row[key] for key in keys] for row in given]
    array = np.asarray(given, dtype=float)
    if array.ndim == 2 and array.shape[1] == 1 and len(classes.values) == 2:
        array = array[:, 0]
    if array.ndim == 1 and len(classes.values) == 2:
        array = np.column_stack([1 - array, array])
    if array.shape != (rows, len(classes.values)):
        raise PredictionError(
            f"the model gave probabilities of shape {array.shape} for {rows:,} rows and the classes "
            f"{classes.listed}",
            next="give one for each row and class: classes= are those of the columns, in their order",
        )
    gaps = np.isnan(array).any(axis=1)
    return np.where(gaps[:, None], np.nan, array) if gaps.any() else array


def columns_of(
    labels: Any,
    matrix: Any,
    given: Any,
    classes: Classes,
    stated: Sequence[Any] | None = None,
    *,
    method: str = "predict",
    keys: pl.DataFrame | None = None,
    again: Callable[[Any], Any] | None = None,
) -> pl.DataFrame:
    """The columns of a classifier's predictions, of what it gave.

    Args:
        labels: the class of each row; None if the likeliest is meant.
        matrix: probabilities as `matrix_of` takes them; None if it gives none.
        given: the rows that it had.
        classes: the classes as they are registered.
        stated: the classes in the model's own words, which the author may have given names.
        method: "predict_proba" if the value is the probability of the positive class.
        keys: columns that name the rows in an error.
        again: the model's own class for some of the rows, where the likeliest is not certain.
    """
    import polars as pl

    own = classes if stated is None else in_own_words(stated, classes)
    values = None if labels is None else labels_of(as_series(labels, len(given)), own, keys)
    columns: list[pl.Series] = []
    if matrix is not None:
        matrix = matrix_of(matrix, own, len(given))
        check_probabilities(matrix, keys)
        columns = _kept(matrix, classes)
        if method == "predict_proba":
            return columns[0].alias("value").to_frame()
    if values is None:
        values = _likeliest(matrix, given, own, keys, again)
    return pl.DataFrame([values if own is classes else _renamed(values, own, classes), *columns])


def in_own_words(stated: Sequence[Any], classes: Classes) -> Classes:
    """The classes as the model calls them: the same, or numbers of places that the author has given names."""
    if [class_text(value) for value in stated] == classes.texts:
        return classes
    return Classes(tuple(stated), stated[-1] if len(stated) == 2 else None)


def _likeliest(
    matrix: Any, given: Any, classes: Classes, keys: pl.DataFrame | None, again: Callable[[Any], Any] | None
) -> pl.Series:
    """The likeliest class of each row; where two are as likely the model's own word, if it is to be had."""
    import numpy as np
    import polars as pl

    values = _typed(classes, dtype_of_classes(classes)).gather(matrix.argmax(axis=1))
    best = np.partition(matrix, -2, axis=1)[:, -2:]
    unsure = np.isnan(best).any(axis=1)  # numpy sorts NaN to the end
    # of equal probabilities argmax takes the first, and some libraries the last
    if again is not None:
        unsure |= best[:, 1] - best[:, 0] < _TIE
    if not unsure.any():
        return values
    places = np.flatnonzero(unsure)
    if again is None:
        return values.scatter(places, None)
    some = given.filter(pl.Series(unsure)) if isinstance(given, pl.DataFrame) else given[unsure]
    named = None if keys is None else keys.filter(pl.Series(unsure))
    return values.scatter(
        places, labels_of(as_series(again(some), len(places)), classes, named).cast(values.dtype)
    )


def _kept(matrix: Any, classes: Classes) -> list[pl.Series]:
    """The columns of probabilities: of two classes that of the positive one."""
    import numpy as np
    import polars as pl

    return [
        pl.Series(name, np.clip(matrix[:, classes.values.index(value)], 0, 1))
        for name, value in classes.columns().items()
    ]


def check_probabilities(matrix: Any, keys: pl.DataFrame | None) -> None:
    """Refuse what is not a probability; one that is missing is none either, but that is another error's business.

    Args:
        matrix: of a column for each class.
        keys: columns that name the rows in an error.

    Raises:
        PredictionError: if one is outside of 0 to 1, or those of a row are together not 1.
    """
    import numpy as np

    sums = matrix.sum(axis=1)
    outside = ((matrix < -_ROUNDING) | (matrix > 1 + _ROUNDING)).any(axis=1)
    wrong = outside | (np.abs(sums - 1) > _ROUNDING)
    if not wrong.any():
        return
    row = int(wrong.argmax())
    shown = ", ".join(f"{value:.6g}" for value in matrix[row])
    problem = (
        f"{shown}, which are not probabilities" if outside[row] else f"{shown}, which are together {sums[row]:.6g}"
    )
    raise PredictionError(
        f"the probabilities of {int(wrong.sum()):,} of {len(matrix):,} rows are wrong, "
        f"first for {row_name(row, keys)}: {problem}",
        next="give probabilities from 0 to 1 that are together 1 in each row; scores can be calibrated "
        "(CalibratedClassifierCV), and LightGBM's multiclassova gives such scores",
    )


def labels_of(values: pl.Series, classes: Classes, keys: pl.DataFrame | None) -> pl.Series:
    """Classes that a model gave, in the type of its classes; missing ones stay missing.

    Raises:
        PredictionError: if one is not among the classes; the row is named.
    """
    import polars as pl

    wanted = dtype_of_classes(classes, values.dtype)
    if values.dtype == wanted and (wanted == pl.Boolean or _are_few_of(values, classes)):
        return values
    if values.dtype == wanted or (values.dtype.is_numeric() and wanted.is_numeric()):
        labels = values
        known = values.is_in(_typed(classes, values.dtype).implode())
    else:  # CatBoost says "True" for True, and a matrix of texts "3" for 3
        texts = [None if value is None else _text(value) for value in values.to_list()]
        by_text = dict(zip(classes.texts, _typed(classes, wanted), strict=True))
        if wanted == pl.Boolean:
            by_text |= {"1": True, "0": False}
        elif values.dtype.is_numeric() and not any(text.isdigit() for text in by_text):  # the numbers of places
            by_text = {str(place): text for place, text in enumerate(classes.texts)}
        labels = pl.Series("value", [by_text.get(text or "") for text in texts], dtype=wanted)
        known = labels.is_not_null()
    missing = values.is_null()
    if values.dtype.is_float():
        missing = missing | values.is_nan().fill_null(value=False)
    strange = ~known.fill_null(value=False) & ~missing
    if strange.any():
        row = strange.arg_max() or 0
        raise PredictionError(
            f"the model gave {values[row]!r} for {row_name(row, keys)}, which is not one of its classes: "
            f"{classes.listed}",
            next="let its predict give one of these (and predict_proba the probabilities), or name those that it "
            "gives: classes=[...]",
        )
    return labels.cast(wanted, strict=False).alias("value")


def _are_few_of(values: pl.Series, classes: Classes) -> bool:
    """Whether they are a few, and all of the classes; a query wakes a thread, which takes as long as a model."""
    return len(values) <= _FEW and {*values.to_list()} <= {*classes.values}


def _text(value: Any) -> str:
    """As `class_text`; True and False of other libraries are ours."""
    text = class_text(value)
    return text.lower() if text in ("True", "False") else text


def _renamed(values: pl.Series, own: Classes, classes: Classes) -> pl.Series:
    """The classes by the names that the author gave them."""
    names = _typed(classes, dtype_of_classes(classes))
    return values.replace_strict(_typed(own, values.dtype), names, default=None, return_dtype=names.dtype)


def _typed(classes: Classes, dtype: pl.DataType) -> pl.Series:
    import polars as pl

    values = classes.texts if dtype == pl.String else classes.values
    return pl.Series("value", values, dtype=dtype, strict=False)


def dtype_of_classes(classes: Classes, like: pl.DataType | None = None) -> pl.DataType:
    """The type of a column of classes: Boolean, String, Int64 or Float64; or `like`, if it is as good."""
    import polars as pl

    kinds = {type(value) for value in classes.values}
    if kinds == {bool}:
        return pl.Boolean()
    if kinds == {int}:
        return like if like is not None and like.is_integer() else pl.Int64()
    if kinds <= {int, float}:
        return like if like is not None and like.is_float() else pl.Float64()
    return pl.String()


def row_name(row: int, keys: pl.DataFrame | None) -> str:
    """How a row is called in an error: by its key, else by its number."""
    if keys is None or not keys.width:
        return f"row {row}"
    return ", ".join(f"{name}={value}" for name, value in keys.row(row, named=True).items())
