"""Tables of pyarrow as canonical Arrow IPC files, types and metadata kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trikk.core.errors import MissingExtra
from trikk.storage.codecs.polars_ipc import BATCH_ROWS


def pyarrow() -> Any:
    """The module pyarrow; raises MissingExtra if it is not installed."""
    try:
        import pyarrow as pa
        import pyarrow.compute
        import pyarrow.ipc
    except ImportError:
        raise MissingExtra("storing frames of pandas and pyarrow", "arrow") from None
    return pa


def write(table: Any, path: Path) -> None:
    """Write a pyarrow Table as an uncompressed Arrow IPC file.

    Taking every row in order builds all buffers anew, so that offsets of slices, values under nulls and
    chunks leave no trace (the property tests hold pyarrow to it).
    """
    pa = pyarrow()
    rows = (
        pa.array(range(0))
        if table.num_rows == 0
        else pa.compute.cumulative_sum(
            pa.concat_arrays([pa.array([0], pa.int64()), pa.repeat(pa.scalar(1, pa.int64()), table.num_rows - 1)])
        )
    )
    fresh = table.combine_chunks().take(rows.cast(pa.int64())).combine_chunks() if table.num_columns else table
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, fresh.schema) as writer:
        writer.write_table(fresh, max_chunksize=BATCH_ROWS)


def read(path: Path) -> Any:
    """The pyarrow Table of a file, mapped, not copied."""
    pa = pyarrow()
    with pa.memory_map(str(path)) as mapped:
        return pa.ipc.open_file(mapped).read_all()


def empty_batch(schema: Any) -> Any:
    """A RecordBatch of no rows."""
    return pyarrow().RecordBatch.from_pylist([], schema=schema)
