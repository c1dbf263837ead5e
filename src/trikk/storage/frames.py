"""Frames of one library as frames of another: what lets a step ask for rows in the kind it knows."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from trikk.core.errors import CodecError, MissingExtra
from trikk.storage.codecs.arrow import wanted

if TYPE_CHECKING:
    import polars as pl


def as_wanted(lazy: pl.LazyFrame, annotation: object) -> Any:
    """Rows as the frame that an annotation names; lazy where it names none.

    Args:
        lazy: the rows.
        annotation: polars LazyFrame or DataFrame, pandas DataFrame, pyarrow Table, or anything else.

    Raises:
        MissingExtra: if the library is not installed.
    """
    kind = wanted(annotation)
    if kind in (None, "polars.LazyFrame"):
        return lazy
    frame = lazy.collect()
    if kind == "polars.DataFrame":
        return frame
    _need("pyarrow")
    if kind == "pandas.DataFrame":
        _need("pandas")
        return frame.to_pandas()
    return frame.to_arrow()


def rows_of(value: Any) -> pl.DataFrame:
    """One polars frame from whatever a step may give a table: a frame of any kind, or a list of frames.

    Raises:
        CodecError: if it is something else.
    """
    import polars as pl

    if isinstance(value, pl.DataFrame):
        return value
    if isinstance(value, pl.LazyFrame):
        return value.collect(engine="streaming")
    if isinstance(value, list | tuple) and value:
        return pl.concat([rows_of(v) for v in value], how="vertical")
    module = type(value).__module__.partition(".")[0]
    if module == "pandas" and type(value).__name__ == "DataFrame":
        return pl.from_pandas(value)
    if module == "pyarrow":
        found = pl.from_arrow(value)
        if isinstance(found, pl.DataFrame):
            return found
    raise CodecError(
        f"{type(value).__name__} holds no rows for a table",
        next="return a polars, pandas or pyarrow frame, or a list of frames",
    )


def _need(package: str) -> None:
    try:
        importlib.import_module(package)
    except ImportError:
        raise MissingExtra(f"a {package} frame", "pandas") from None
