"""Rows in any form as a lazy polars frame, and single rows as JSON for people."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import polars as pl

from trikk.core.errors import MissingExtra, UsageError
from trikk.core.values import JSON
from trikk.storage.frames import rows_of

TEXT = 80  # characters of a text that a sample keeps
COLUMNS = 12  # columns of a row that a sample keeps
FAILURES = (Exception, pl.exceptions.PanicException)
"""What the failure of one check is caught as: a panic in polars is no Exception."""


def lazy_of(value: Any) -> pl.LazyFrame:
    """A LazyFrame from a frame of any kind, or from a list of frames with the same columns.

    Raises:
        UsageError: if it is a `Table`, which only a run can read.
        CodecError: if it holds no rows.
    """
    if isinstance(value, pl.LazyFrame):
        return value
    if isinstance(value, list | tuple) and value:
        return pl.concat([lazy_of(item) for item in value], how="vertical")
    if isinstance(getattr(value, "table_name", None), str):
        raise UsageError(
            f"{value!r} is read by a run only", next="call the gate in a pipeline's body, or give it a frame"
        )
    return rows_of(value).lazy()


def to_pandas(frame: pl.DataFrame) -> Any:
    """The frame in pandas, rows numbered from 0.

    Raises:
        MissingExtra: if pandas or pyarrow is not installed.
    """
    try:
        return frame.to_pandas()
    except ImportError:
        raise MissingExtra("a check of a pandas frame", "pandas") from None


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
