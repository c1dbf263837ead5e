"""The predictions table as an endpoint fills it: its columns, and whole log files put in exactly once."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from trikk.core.errors import TableError, UnknownName
from trikk.models.dtypes import dtype_of
from trikk.models.signature import Field
from trikk.models.version import ModelVersion
from trikk.serving.spool import Segment
from trikk.storage.table_write import Write

if TYPE_CHECKING:
    import polars as pl

    from trikk.storage.tables import Tables

_SLOT = "Datetime(time_unit='us', time_zone='UTC')"
_FIXED = ("prediction_id", "predicted_at", "value", "model", "model_version", "run", "inputs")


def schema_of(tables: Tables, name: str) -> dict[str, pl.DataType]:
    """The columns of the table; empty if there is none yet."""
    try:
        return dict(tables.scan(name).collect_schema())
    except UnknownName:
        return {}


def logged_fields(
    version: ModelVersion, key: tuple[str, ...], slot: str | None, there: dict[str, pl.DataType]
) -> list[tuple[str, str]]:
    """The columns beside the fixed ones, with their types: the table's, else the model's, else a text (a time).

    Args:
        version: the model.
        key: the columns that name what a prediction is about.
        slot: the column with the time that it is about, or None.
        there: the table's columns.

    Raises:
        TableError: if a column has a name that the table uses for something else, or the model's values do not go
            into the table's column of values.
    """
    names = (*key, slot) if slot else key
    own = {f.name: f.dtype for f in version.signature.inputs} if version.signature else {}
    for name in names:
        if name in _FIXED:
            raise TableError(f"{name!r} is a column of every predictions table", next="rename the field")
    gives = version.signature.output.dtype if version.signature else None
    if gives and "value" in there and there["value"].is_numeric() != is_number(gives):
        raise TableError(
            f"version {version.version} gives {gives}, and the table holds {there['value']}",
            next="log it to another table: --table NAME",
        )
    found = []
    for name in names:
        wanted = str(there[name]) if name in there else own.get(name, _SLOT if name == slot else "String")
        found.append((name, Field(name, wanted).dtype))
    return found


def is_number(dtype: str) -> bool:
    """Whether values of that type are logged as Float64."""
    found = dtype_of(dtype)
    return found.is_numeric() or dtype == "Boolean"


def put(tables: Tables, name: str, segment: Segment, origin: dict[str, str]) -> int:
    """Put a log file into the table, if it is not there yet; returns its rows.

    Raises:
        TableError: if the table does not take them; nothing of them is there then.
        OSError: if the file can't be read.
    """
    import polars as pl

    frames = [_plain(pl.read_ipc_stream(io.BytesIO(record))) for record in segment.records()]
    if not frames:
        return 0
    rows = pl.concat(frames, how="diagonal_relaxed")
    tables.write(name, Write("append", rows, schema_mode="merge"), identity=segment.identity, origin=origin)
    return rows.height


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    """With values of all kinds of numbers as Float64, so that versions of one model share a table."""
    import polars as pl

    dtype = frame["value"].dtype
    return frame.with_columns(
        pl.col("value").cast(pl.Float64 if dtype.is_numeric() or dtype == pl.Boolean else pl.String)
    )
