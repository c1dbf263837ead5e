"""Frames as uncompressed Arrow IPC files: written and mapped at memory speed, readable by any Arrow library.

What was a frame of one library can be asked for as one of another; which one was written is in the summary.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from trikk.core.values import JSON
from trikk.storage import frames
from trikk.storage.codec import type_name
from trikk.storage.codecs import arrow_ipc, polars_ipc
from trikk.storage.stores.syncing import written_early

_LARGE = 8 << 20  # bytes; what is smaller is synced before a thread would have begun


class ArrowCodec:
    """Frames and columns of polars, pandas and pyarrow.

    A LazyFrame is computed and written in pieces: neither its sources nor its result need to fit into memory.
    """

    name = "arrow"
    suffix = ".arrow"

    def accepts(self, value: object) -> bool:
        """Whether it is one of `frames.KINDS`, exactly: a subclass would not come back as itself."""
        return type_name(value) in frames.KINDS

    def dump(self, value: Any, path: Path) -> dict[str, JSON]:
        """Write the frame; equal frames give equal bytes.

        Returns:
            The summary: `type`, `rows`, `columns` (name to type), for a Series its `name`.

        Raises:
            CodecError: if a column holds Python objects.
            MissingExtra: if a pandas frame is to be stored and pyarrow is not installed.
        """
        kind = type_name(value)
        if kind in frames.POLARS:
            return _dump_polars(value, kind, path)
        return _dump_arrow(value, kind, path)

    def load(self, path: Path, want: object, summary: dict[str, JSON]) -> Any:
        """The frame in the kind that `want` names, else in the kind that was written.

        Raises:
            CodecError: if one column is wanted and there are several.
            MissingExtra: if the wanted library is not installed.
        """
        written = str(summary.get("type"))
        kind = frames.kind_for(want, written)
        if kind in frames.POLARS:
            return frames.as_kind(_scanned(path, written), kind)
        value = frames.as_kind(arrow_ipc.read(path), kind, date_as_object=True)  # as ever; a table's are not
        if kind == written == "pandas.Series" and summary.get("name") is None:
            value.name = None
        return value

    def head(self, path: Path, rows: int) -> JSON | None:
        """The first rows, each a dict of column to value; what JSON has no form for, as text."""
        import polars as pl

        frame = pl.scan_ipc(path, glob=False).head(rows).collect()
        return [{name: _shown(value) for name, value in row.items()} for row in frame.to_dicts()]


def _dump_polars(value: Any, kind: str, path: Path) -> dict[str, JSON]:
    summary: dict[str, JSON] = {"type": kind}
    if kind == "polars.LazyFrame":
        rows, schema = polars_ipc.write_lazy(value, path)
    else:
        frame = value
        if kind == "polars.Series":
            frame = value.to_frame()
            summary["name"] = value.name
        with _early(frame.estimated_size(), path):
            polars_ipc.write(frame, path)
        rows, schema = frame.height, frame.schema
    columns: dict[str, JSON] = {name: str(dtype) for name, dtype in schema.items()}
    return {**summary, "rows": rows, "columns": columns}


def _dump_arrow(value: Any, kind: str, path: Path) -> dict[str, JSON]:
    summary: dict[str, JSON] = {"type": kind}
    if kind == "pandas.Series":
        summary["name"] = None if value.name is None else str(value.name)
    table = frames.as_kind(value, "pyarrow.Table")
    with _early(table.nbytes, path):
        arrow_ipc.write(table, path)
    columns: dict[str, JSON] = {field.name: str(field.type) for field in table.schema}
    return {**summary, "rows": table.num_rows, "columns": columns}


def _early(size: int, path: Path) -> AbstractContextManager[None]:
    return written_early(path) if size > _LARGE else nullcontext()


def _scanned(path: Path, written: str) -> Any:
    """The rows of a file, without the index of a pandas frame."""
    import polars as pl

    lazy = pl.scan_ipc(path, glob=False)
    if written not in frames.PANDAS:
        return lazy
    names = [name for name in pl.read_ipc_schema(path) if not name.startswith(frames.UNNAMED_INDEX)]
    return lazy.select(names[:1] if written == "pandas.Series" else names)


def _shown(value: object) -> JSON:
    if value is None or isinstance(value, bool | int | str):
        return value
    return value if isinstance(value, float) and math.isfinite(value) else str(value)
