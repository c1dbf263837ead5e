"""Rows in any form as a lazy polars frame, and single rows as JSON for people.

A NaN stays a NaN and what is missing null, whatever library the frame is from: the same rows get the same verdict.
pandas has no null in a column of numpy floats, so that each missing number there is a NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import polars as pl

from trikk.core.errors import UsageError
from trikk.core.values import JSON
from trikk.storage.frames import as_kind, rows_of
from trikk.storage.stacking import stacked

TEXT = 80  # characters of a text that a sample keeps
COLUMNS = 12  # columns of a row that a sample keeps
FAILURES = (Exception, pl.exceptions.PanicException)
"""What the failure of one check is caught as: a panic in polars is not an Exception."""


def lazy_of(value: Any) -> pl.LazyFrame:
    """A LazyFrame from a frame of any kind, or from a list of frames with the same columns.

    Raises:
        UsageError: if it is a `Table`, which only a run can read.
        CodecError: if it holds no rows.
    """
    if isinstance(value, pl.LazyFrame):
        return value
    if isinstance(value, list | tuple) and value:
        return stacked([lazy_of(item) for item in value])
    if isinstance(getattr(value, "table_name", None), str):
        raise UsageError(
            f"{value!r} is read by a run only", next="call the gate in a pipeline's body, or give it a frame"
        )
    return (_from_pandas(value) if is_pandas(value) else rows_of(value)).lazy()


def is_pandas(value: Any) -> bool:
    """Whether it is a DataFrame of pandas."""
    return type(value).__module__.partition(".")[0] == "pandas" and type(value).__name__ == "DataFrame"


def _from_pandas(frame: Any) -> pl.DataFrame:
    """A pandas frame without its index, NaN kept."""
    twice = [str(name) for name in frame.columns[frame.columns.duplicated()]]
    if twice:
        raise UsageError(f"two columns are called {twice[0]!r}", next="rename one")
    return pl.DataFrame([_column(frame.iloc[:, n]).alias(str(name)) for n, name in enumerate(frame.columns)])


def _column(series: Any) -> Any:
    if type(series.dtype).__name__ == "SparseDtype":
        series = series.sparse.to_dense()
    missing = series.dtype == object and series.isna().all()  # of no type, so that there is no NaN either
    try:
        return pl.from_pandas(series, nan_to_null=bool(missing))
    except Exception:  # noqa: BLE001 - Arrow's: texts among which a NaN stands for none
        try:
            return pl.from_pandas(series)
        except Exception as error:  # noqa: BLE001
            raise UsageError(
                f"column {series.name!r} can't be checked: {error}", next="give all of its values one type"
            ) from None


def to_pandas(frame: pl.DataFrame, given: Any = None) -> Any:
    """The frame in pandas, rows numbered from 0; if it was `given` as one, with the types that it has there.

    Raises:
        MissingExtra: if pandas or pyarrow is not installed.
    """
    if is_pandas(given):
        return given.reset_index(drop=True)
    return as_kind(frame, "pandas.DataFrame")


def sample_of(frame: pl.DataFrame, first: Iterable[str]) -> list[dict[str, JSON]]:
    """Rows as JSON: the columns in question first, no more than a dozen, long texts cut."""
    names = [name for name in first if name in frame.columns]
    names += [name for name in frame.columns if name not in names]
    return [{name: shown(row[name]) for name in names[:COLUMNS]} for row in frame.to_dicts()]


def shown(value: object) -> JSON:
    """A value as JSON; what JSON has no form for, as text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else str(value)
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= TEXT else text[:TEXT] + "..."
