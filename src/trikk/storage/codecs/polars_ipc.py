"""Polars frames as canonical Arrow IPC: equal frames give equal bytes, whatever their history.

A frame's buffers remember how it came about: values under nulls, bits past the end of a bitmap, a bitmap that
marks nothing as null, list offsets that do not begin at zero, the order in which a process first saw its
categories. None of that is part of the frame, so it is made anew before it is written. Measured facts and
the choices made from them are in docs/decisions/artifacts.md.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from trikk.core.errors import CodecError

if TYPE_CHECKING:
    import polars as pl

BATCH_ROWS = 1 << 17


def write(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame as an uncompressed Arrow IPC file (strings as offsets and bytes, not as views).

    Raises:
        CodecError: if a column holds Python objects.
    """
    import polars as pl

    canonical = pl.DataFrame([_canonical(column) for column in frame.get_columns()])
    if frame.width == 0 and frame.height:
        raise CodecError("a frame with rows but no columns can't be stored", next="give it a column")
    canonical.write_ipc(
        path,
        compression="uncompressed",
        compat_level=pl.CompatLevel.oldest(),
        record_batch_size=BATCH_ROWS,
    )


def _canonical(column: pl.Series) -> pl.Series:
    """The column in one chunk whose buffers depend on nothing but its values."""
    import polars as pl

    if column.dtype == pl.Object:
        raise CodecError(
            f"the column {column.name!r} holds Python objects, which can't be stored",
            next="cast it to a type of polars, such as String or Float64",
        )
    if column.is_empty():
        return pl.Series(column.name, [], dtype=column.dtype)
    if column.dtype == pl.Null:
        return column
    if column.dtype.is_nested() or isinstance(column.dtype, pl.Categorical | pl.Enum):
        return _through_parquet(column)
    return column.to_frame().select(_leaf(column).alias(column.name)).to_series().rechunk()


def _leaf(column: pl.Series) -> pl.Expr:
    """The expression that makes the buffers of a column of a flat type anew, as far as needed."""
    import polars as pl

    plain = pl.nth(0)
    values = plain
    if column.dtype == pl.Boolean:
        values = values.fill_null(value=False).cast(pl.UInt8) == 1
    elif column.null_count():
        zero = {pl.String: "", pl.Binary: b""}.get(column.dtype.base_type(), 0)
        values = values.fill_null(pl.lit(zero).cast(column.dtype))
    elif column.dtype in (pl.String, pl.Binary):
        values = values.gather(pl.int_range(pl.len()))
    if column.null_count():
        values = pl.when(plain.is_not_null().cast(pl.UInt8) == 1).then(values)
    return values


def _through_parquet(column: pl.Series) -> pl.Series:
    """The column after a round trip through Parquet in memory, a format that has no slack to keep."""
    import polars as pl

    buffer = io.BytesIO()
    column.rechunk().to_frame().write_parquet(buffer, compression="uncompressed", statistics=False)
    buffer.seek(0)
    return pl.read_parquet(buffer, use_statistics=False).to_series().rechunk()
