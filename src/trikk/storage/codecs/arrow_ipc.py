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

    Taking every row in order builds a column's buffers anew, so that offsets of slices, values under nulls and
    chunks leave no trace (the property tests hold pyarrow to it). It costs as much as writing, so columns in
    which there can be none are left as they are.
    """
    pa = pyarrow()
    whole = table.combine_chunks()
    if not all(map(_is_plain, whole.columns)):
        rows = pa.compute.cumulative_sum(pa.repeat(pa.scalar(1, pa.int64()), table.num_rows), start=-1)
        fresh = [column if _is_plain(column) else column.take(rows) for column in whole.columns]
        whole = pa.Table.from_arrays(fresh, schema=table.schema).combine_chunks()
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, whole.schema) as writer:
        writer.write_table(whole, max_chunksize=BATCH_ROWS)


def _is_plain(column: Any) -> bool:
    """Whether a column is one array of a flat type whose buffers hold its values and nothing else."""
    types = pyarrow().types
    flat = types.is_primitive(column.type) and not types.is_boolean(column.type)  # the last byte of bits has slack
    if not (flat or types.is_string(column.type) or types.is_large_string(column.type)) or not len(column):
        return False
    values = column.chunk(0)
    # A slice's buffers are longer than its values, and pyarrow pads what it writes of them with what follows.
    return column.num_chunks == 1 and not values.buffers()[0] and values.nbytes == values.get_total_buffer_size()


def read(path: Path) -> Any:
    """The pyarrow Table of a file, mapped, not copied."""
    pa = pyarrow()
    with pa.memory_map(str(path)) as mapped:
        return pa.ipc.open_file(mapped).read_all()


def empty_batch(schema: Any) -> Any:
    """A RecordBatch of no rows."""
    return pyarrow().RecordBatch.from_pylist([], schema=schema)
