"""Polars frames as canonical Arrow IPC: equal frames give equal bytes, whatever their history.

A frame's buffers remember how it came about: values under nulls, bits past the end of a bitmap, a bitmap that
marks nothing as null, list offsets that do not begin at zero, the order in which a process first saw its
categories. None of that is part of the frame, so it is made anew before it is written. Measured facts and
the choices made from them are in docs/decisions/artifacts.md.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from trikk.core.errors import CodecError
from trikk.storage.row_batches import batches

if TYPE_CHECKING:
    import polars as pl

BATCH_ROWS = 1 << 20


def write(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame as an uncompressed Arrow IPC file (strings as offsets and bytes, not as views).

    Raises:
        CodecError: if a column holds Python objects.
    """
    if frame.width == 0 and frame.height:
        raise CodecError("a frame with rows but no columns can't be stored", next="give it a column")
    _sink(_canonical(frame).lazy(), path)


def write_lazy(lazy: pl.LazyFrame, path: Path) -> tuple[int, pl.Schema]:
    """Write the rows of a LazyFrame, computed in pieces: the same bytes as `write` of the computed frame.

    One record batch of rows is in memory at a time, and all of them if a column is nested or has categories. The
    pieces are on disk beside `path` meanwhile.

    Returns:
        The number of rows, and the schema.

    Raises:
        CodecError: if a column holds Python objects.
    """
    import polars as pl

    schema = lazy.collect_schema()
    if any(dtype.is_nested() or isinstance(dtype, pl.Categorical | pl.Enum) for dtype in schema.dtypes()):
        frame = lazy.collect(engine="streaming")
        write(frame, path)
        return frame.height, frame.schema
    parts: list[Path] = []
    try:
        rows = _write_parts(batches(lazy, BATCH_ROWS), path, parts)
        if not parts:
            write(pl.DataFrame(schema=schema), path)
        elif len(parts) == 1:
            parts[0].rename(path)
        else:
            _sink(pl.scan_ipc(parts, glob=False), path)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    return rows, schema


def _write_parts(pieces: Iterator[pl.DataFrame], path: Path, parts: list[Path]) -> int:
    rows = 0
    for piece in pieces:
        parts.append(path.with_name(f"{path.name}.{len(parts)}"))
        write(piece, parts[-1])
        rows += piece.height
    return rows


def _sink(lazy: pl.LazyFrame, path: Path) -> None:
    import polars as pl

    lazy.sink_ipc(
        path,
        compression="uncompressed",
        compat_level=pl.CompatLevel.oldest(),
        record_batch_size=BATCH_ROWS,
        engine="streaming",
    )


def _canonical(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame in one chunk whose buffers depend on nothing but its values."""
    import polars as pl

    for name, dtype in frame.schema.items():
        if dtype == pl.Object:
            raise CodecError(
                f"the column {name!r} holds Python objects, which can't be stored",
                next="cast it to a type of polars, such as String or Float64",
            )
    if frame.is_empty():
        return pl.DataFrame(schema=frame.schema)
    whole = frame.rechunk()
    columns = whole.get_columns()
    flat = whole.select(_flat(column, pl.nth(n)).alias(column.name) for n, column in enumerate(columns)).rechunk()
    return flat.with_columns(
        _through_parquet(column) for column in columns if _is_deep(column) or _is_one_bit(column)
    )


def _is_deep(column: pl.Series) -> bool:
    """Whether the column has buffers below its own, or categories."""
    import polars as pl

    return column.dtype.is_nested() or isinstance(column.dtype, pl.Categorical | pl.Enum)


def _is_one_bit(column: pl.Series) -> bool:
    """Whether the column has a bitmap of one bit: polars makes those of a single row by filling a whole byte."""
    import polars as pl

    return column.len() == 1 and column.dtype == pl.Boolean


def _flat(column: pl.Series, plain: pl.Expr) -> pl.Expr:
    """The expression that makes the buffers of a column of a flat type anew, as far as needed."""
    import polars as pl

    if column.dtype == pl.Null or _is_deep(column):
        return plain
    values = plain
    if column.null_count():
        zero = {pl.String: "", pl.Binary: b"", pl.Boolean: False}.get(column.dtype.base_type(), 0)
        values = values.fill_null(pl.lit(zero).cast(column.dtype))
    elif _has_bitmap(column):
        values = values.gather(pl.int_range(pl.len()))  # the cheapest that drops it
    if column.dtype == pl.Boolean:
        values = values.cast(pl.UInt8) == 1
    if column.null_count():
        values = pl.when(plain.is_not_null().cast(pl.UInt8) == 1).then(values)
    return values


def _has_bitmap(column: pl.Series) -> bool:
    """Whether a column of a flat type without nulls has a bitmap all the same, which polars would write.

    polars does not tell, but counts a bitmap into the size of a column of fixed width. The lengths of texts
    have the bitmap of the texts, and cost a fifth of taking the texts anew.
    """
    import polars as pl

    fixed = column
    if column.dtype == pl.String:
        fixed = column.str.len_bytes()
    elif column.dtype == pl.Binary:
        fixed = column.bin.size()
    elif column.dtype == pl.Boolean:
        return fixed.estimated_size() != (fixed.len() + 7) // 8
    width = fixed.clear(1).estimated_size() - 1  # one null: its value and a byte of bitmap
    return fixed.estimated_size() != fixed.len() * width


def _through_parquet(column: pl.Series) -> pl.Series:
    """The column after a round trip through Parquet in memory, a format that has no slack to keep."""
    import polars as pl

    buffer = io.BytesIO()
    column.rechunk().to_frame().write_parquet(buffer, compression="uncompressed", statistics=False)
    buffer.seek(0)
    return pl.read_parquet(buffer, use_statistics=False).to_series().rechunk()
