"""Frames as uncompressed Arrow IPC files: written and mapped at memory speed, readable by any Arrow library.

What was a frame of one library can be asked for as one of another; which one was written is in the summary.
"""

from __future__ import annotations

import math
import types
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from trikk.core.errors import CodecError
from trikk.core.values import JSON, encode
from trikk.storage.codec import type_name
from trikk.storage.codecs import arrow_ipc, polars_ipc

POLARS = ("polars.DataFrame", "polars.LazyFrame", "polars.Series")
PANDAS = ("pandas.DataFrame", "pandas.Series")
ARROW = ("pyarrow.Table", "pyarrow.RecordBatch")
KINDS = (*POLARS, *PANDAS, *ARROW)
_UNNAMED_INDEX = "__index_level_"


class ArrowCodec:
    """Frames and columns of polars, pandas and pyarrow.

    A LazyFrame is computed and written in pieces: neither its sources nor its result need to fit into memory.
    """

    name = "arrow"
    suffix = ".arrow"

    def accepts(self, value: object) -> bool:
        """Whether it is one of `KINDS`, exactly: a subclass would not come back as itself."""
        return type_name(value) in KINDS

    def dump(self, value: Any, path: Path) -> dict[str, JSON]:
        """Write the frame; equal frames give equal bytes.

        Returns:
            The summary: `type`, `rows`, `columns` (name to type), for a Series its `name`.

        Raises:
            CodecError: if a column holds Python objects.
            MissingExtra: if a pandas frame is to be stored and pyarrow is not installed.
        """
        kind = type_name(value)
        if kind in POLARS:
            return _dump_polars(value, kind, path)
        return _dump_arrow(value, kind, path)

    def load(self, path: Path, want: object, summary: dict[str, JSON]) -> Any:
        """The frame in the kind that `want` names, else in the kind that was written.

        Raises:
            CodecError: if one column is wanted and there are several.
            MissingExtra: if the wanted library is not installed.
        """
        written = str(summary.get("type"))
        kind = wanted(want) or written
        if kind in POLARS:
            return _load_polars(path, kind, written)
        table = arrow_ipc.read(path)
        if kind == "pyarrow.Table":
            return table
        if kind == "pyarrow.RecordBatch":
            batches = table.combine_chunks().to_batches()
            return batches[0] if batches else arrow_ipc.empty_batch(table.schema)
        frame = arrow_ipc.to_pandas(table)
        return frame if kind == "pandas.DataFrame" else _pandas_series(frame, summary)

    def head(self, path: Path, rows: int) -> JSON | None:
        """The first rows, each a dict of column to value; what JSON has no form for, as text."""
        import polars as pl

        found = pl.scan_ipc(path, glob=False).head(rows).collect()
        return [{name: _shown(value) for name, value in row.items()} for row in found.to_dicts()]


def wanted(annotation: object) -> str | None:
    """The kind of frame that an annotation names (an Optional or Annotated one too), or None."""
    if get_origin(annotation) in (Union, types.UnionType):
        named = {kind for kind in map(wanted, get_args(annotation)) if kind}
        return named.pop() if len(named) == 1 else None
    if hasattr(annotation, "__metadata__"):
        return wanted(get_args(annotation)[0])
    if not isinstance(annotation, type):
        return None
    name = f"{annotation.__module__.partition('.')[0]}.{annotation.__qualname__}"
    return name if name in KINDS else None


def _dump_polars(value: Any, kind: str, path: Path) -> dict[str, JSON]:
    summary: dict[str, JSON] = {"type": kind}
    if kind == "polars.LazyFrame":
        rows, schema = polars_ipc.write_lazy(value, path)
    else:
        frame = value
        if kind == "polars.Series":
            frame = value.to_frame()
            summary["name"] = value.name
        polars_ipc.write(frame, path)
        rows, schema = frame.height, frame.schema
    columns: dict[str, JSON] = {name: str(dtype) for name, dtype in schema.items()}
    return {**summary, "rows": rows, "columns": columns}


def _dump_arrow(value: Any, kind: str, path: Path) -> dict[str, JSON]:
    pa = arrow_ipc.pyarrow()
    summary: dict[str, JSON] = {"type": kind}
    table = value
    if kind == "pyarrow.RecordBatch":
        table = pa.Table.from_batches([value])
    elif kind == "pandas.Series":
        summary["name"] = encode(value.name)
        table = arrow_ipc.from_pandas(value.to_frame(name="values" if value.name is None else value.name))
    elif kind == "pandas.DataFrame":
        table = arrow_ipc.from_pandas(value)
    arrow_ipc.write(table, path)
    columns: dict[str, JSON] = {field.name: str(field.type) for field in table.schema}
    return {**summary, "rows": table.num_rows, "columns": columns}


def _load_polars(path: Path, kind: str, written: str) -> Any:
    import polars as pl

    lazy = pl.scan_ipc(path, glob=False)
    if written in PANDAS:
        names = [name for name in pl.read_ipc_schema(path) if not name.startswith(_UNNAMED_INDEX)]
        lazy = lazy.select(names[:1] if written == "pandas.Series" else names)
    if kind == "polars.LazyFrame":
        return lazy
    frame = lazy.collect()
    if kind == "polars.DataFrame":
        return frame
    if frame.width != 1:
        raise CodecError(
            f"one column is wanted, and the stored frame has {frame.width}",
            next="annotate the parameter with pl.DataFrame, or return one column",
        )
    return frame.to_series()


def _pandas_series(frame: Any, summary: dict[str, JSON]) -> Any:
    if frame.shape[1] != 1:
        raise CodecError(
            f"one column is wanted, and the stored frame has {frame.shape[1]}",
            next="annotate the parameter with pandas.DataFrame, or return one column",
        )
    series = frame.iloc[:, 0]
    if summary.get("type") == "pandas.Series" and summary.get("name") is None:
        series.name = None
    return series


def _shown(value: object) -> JSON:
    if value is None or isinstance(value, bool | int | str):
        return value
    return value if isinstance(value, float) and math.isfinite(value) else str(value)
