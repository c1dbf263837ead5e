"""Rows in pieces of one size, so that only a piece is in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

BATCH_ROWS = 262_144


def batches(lazy: pl.LazyFrame, rows: int = BATCH_ROWS) -> Iterator[pl.DataFrame]:
    """The rows in their order, in frames of exactly `rows` rows, the last of fewer; none for no rows."""
    import polars as pl

    pieces: list[pl.DataFrame] = []
    count = 0
    for piece in lazy.collect_batches(chunk_size=rows, maintain_order=True, engine="streaming"):
        pieces.append(piece)
        count += piece.height
        while count >= rows:
            whole = pl.concat(pieces)
            yield whole.head(rows)
            pieces, count = [whole.slice(rows)], count - rows
    if count:
        yield pl.concat(pieces)
