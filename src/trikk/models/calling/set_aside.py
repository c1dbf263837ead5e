"""Rows that can't be predicted, set aside with their reason: one broken sensor doesn't stop a fleet's night.

What fails is found cheaply where it can be: the signature says which values a model takes, and NaN among the
answers says it of the rest. Only if the model itself fails is it asked in parts, suspicious rows apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from trikk.core.errors import PredictionError, SignatureError
from trikk.models.calling.dtypes import converted
from trikk.models.signature import Signature

if TYPE_CHECKING:
    import polars as pl

INDEX, REASON = "trikk: row", "trikk: reason"  # as no column of anybody's is called
_PLACE = "trikk: place"
_CALLS = 2_000  # of a model that fails, to find out on which rows of a batch: some 80 that lie apart among 262,144
_FIRST, _SAMPLE = 200, 20  # so many without one that works, and on a sample of the batch neither, are enough
_MOST, _LENGTH = 3, 200


def unfit(rows: pl.DataFrame, about: Sequence[str], signature: Signature | None) -> pl.Series:
    """Why each row can't be given to a model; null where it can.

    Args:
        rows: the rows.
        about: the columns that name a row.
        signature: what the model takes; None if that is not known.

    Raises:
        SignatureError: if an input is missing, or its column is of a type that none of its values can have.
    """
    import polars as pl

    marks = [(rows[name].is_null(), f"{name} is empty") for name in about]
    if signature is not None:
        signature.check(rows.clear())  # a whole column that is missing is not a row's fault
        for field in signature.inputs:
            values, lost = converted(rows[field.name], field.name, field.dtype)
            if lost is not None:
                marks.append((lost, f"{field.name} is no {field.dtype}"))
            if not field.nullable:
                gaps = rows[field.name].is_null()
                if values.dtype.is_float():
                    gaps = gaps | values.is_nan().fill_null(value=False)
                marks.append((gaps, f"{field.name} is missing"))
    texts = [pl.when(mark.fill_null(value=False)).then(pl.lit(text)) for mark, text in marks]
    joined = pl.concat_str(texts, separator="; ", ignore_nulls=True)
    return rows.select(pl.when(joined != "").then(joined).alias(REASON)).to_series()


_Values = Callable[["pl.DataFrame"], Sequence[str]]


class Parted:
    """Predictions of the rows that can be predicted, and the reason of each other one.

    Args:
        ask: gives the predictions of rows, or raises.
        inputs: the columns that the model takes.
        values: tells the columns of predictions that must have a value; none if NaN and nulls may come out.

    Attributes:
        inputs: those columns.
        failed: on how many rows the model failed of which nothing says what is wrong with them.
        error: how it failed first.
    """

    def __init__(
        self, ask: Callable[[pl.DataFrame], pl.DataFrame], inputs: Sequence[str], values: _Values
    ) -> None:
        self._ask, self.inputs, self._values = ask, list(inputs), values
        self._calls, self._limit = 0, _FIRST
        self.failed = 0
        self.error: PredictionError | SignatureError | None = None

    def of(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Predictions in the order of the rows, with `INDEX`, and `REASON` where there is none.

        Args:
            rows: with a column `INDEX`.

        Raises:
            PredictionError: if the model fails on rows of which nothing says what is wrong with them.
        """
        import polars as pl

        self._calls, self._limit = 0, _FIRST
        self._sample = rows.gather_every(max(1, rows.height // _SAMPLE))
        answers = pl.concat(self._solved(rows), how="diagonal_relaxed").sort(INDEX)
        return (
            answers if REASON in answers.columns else answers.with_columns(pl.lit(None, pl.String).alias(REASON))
        )

    def _solved(self, rows: pl.DataFrame) -> list[pl.DataFrame]:
        import polars as pl

        self._calls += 1
        try:
            answers = self._ask(rows).with_columns(rows[INDEX])
        except (PredictionError, SignatureError) as error:
            return self._apart(rows, error)
        bad = pl.any_horizontal(pl.lit(value=False), *(_no_value(answers[name]) for name in self._values(answers)))
        return [answers.with_columns(pl.when(bad).then(pl.lit("the model gave no value")).alias(REASON))]

    def _apart(self, rows: pl.DataFrame, error: PredictionError | SignatureError) -> list[pl.DataFrame]:
        """Rows on which the model fails, in parts: by their pattern of missing values, then in halves."""
        import polars as pl

        marked = rows.with_columns(self._pattern(rows).alias(REASON))
        # rows that miss the same inputs mostly fail together, so that a call for each pattern finds them
        parts = marked.partition_by(REASON, maintain_order=True)
        if len(parts) > 1:
            return [solved for part in parts for solved in self._solved(part.drop(REASON))]
        pattern = marked[REASON][0]
        if rows.height == 1 or (pattern and self._fails(rows.head(1)) and self._fails(rows.tail(1))):
            if not pattern:
                self.failed, self.error = self.failed + 1, self.error or error
            return [rows.select(INDEX, pl.lit(pattern or _said(error)).alias(REASON))]
        if self._calls > self._limit:
            if self._limit == _CALLS or all(map(self._fails, self._sample.iter_slices(1))):
                raise error
            self._limit = _CALLS
        half = rows.height // 2
        return [*self._solved(rows.head(half)), *self._solved(rows.slice(half))]

    def _fails(self, row: pl.DataFrame) -> bool:
        try:
            self._ask(row)
        except (PredictionError, SignatureError):
            return True
        return False

    def _pattern(self, rows: pl.DataFrame) -> pl.Series:
        """Which inputs of a row are missing or not finite, in words; "" for none."""
        import polars as pl

        texts = []
        for name in self.inputs:
            column = pl.col(name)
            texts.append(pl.when(column.is_null()).then(pl.lit(f"{name} is missing")))
            if rows.schema[name].is_float():
                texts.append(pl.when(column.is_nan()).then(pl.lit(f"{name} is missing")))
                texts.append(pl.when(column.is_infinite()).then(pl.lit(f"{name} is not finite")))
        return rows.select(pl.concat_str(texts, separator="; ", ignore_nulls=True)).to_series()


def _no_value(column: pl.Series) -> pl.Series:
    bad = column.is_null()
    return bad | ~column.is_finite().fill_null(value=True) if column.dtype.is_float() else bad


def _said(error: PredictionError | SignatureError) -> str:
    text = error.what.splitlines()[0]
    return text if len(text) <= _LENGTH else f"{text[:_LENGTH]}..."


def reasons_text(reasons: Counter[str], total: int) -> str:
    """How many rows were set aside, and the most frequent reasons, in words."""
    count = sum(reasons.values())
    most = ", ".join(f"{reason} ({number:,})" for reason, number in reasons.most_common(_MOST))
    more = ", ..." if len(reasons) > _MOST else ""
    return f"{count:,} of {total:,} rows can't be predicted: {most}{more}"


class Repeated:
    """The rows whose key has been predicted before, of keys that come more than once.

    Args:
        names: the columns of the key.
        hashes: those of keys that are repeated, as `pl.struct(names).hash()` gives them.
    """

    def __init__(self, names: Sequence[str], hashes: pl.Series) -> None:
        self._names, self._hashes = names, hashes
        self._seen: set[tuple[Any, ...]] = set()

    def of(self, rows: pl.DataFrame) -> list[int]:
        """The places of rows whose key came before; the first of each key is remembered."""
        import polars as pl

        if self._hashes.is_empty():
            return []
        keys = rows.select(self._names).with_row_index(_PLACE)
        suspects = keys.filter(pl.struct(self._names).hash().is_in(self._hashes.implode()))
        again = []
        for place, *key in suspects.iter_rows():
            if tuple(key) in self._seen:
                again.append(place)
            self._seen.add(tuple(key))
        return again
