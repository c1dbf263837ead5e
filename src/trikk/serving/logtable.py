"""The predictions table as an endpoint fills it: its columns, and whole log files put in exactly once."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trikk.core.errors import SignatureError, TableError, UnknownName
from trikk.models.dtypes import dtype_of
from trikk.models.version import ModelVersion
from trikk.serving.spool import Segment
from trikk.storage.table_types import check_fit, storable
from trikk.storage.table_write import Write

if TYPE_CHECKING:
    import polars as pl

    from trikk.storage.tables import Tables

_SLOT = "Datetime(time_unit='us', time_zone='UTC')"
_FIXED = ("prediction_id", "predicted_at", "value", "model", "model_version", "run", "inputs")


def schema_of(tables: Tables, name: str) -> dict[str, pl.DataType]:
    """The columns of a table; empty if there is none yet."""
    try:
        return dict(tables.scan(name).collect_schema())
    except UnknownName:
        return {}


def logged_fields(
    version: ModelVersion,
    key: tuple[str, ...],
    slot: str | None,
    there: Mapping[str, pl.DataType],
    truth: Mapping[str, pl.DataType],
) -> list[tuple[str, str]]:
    """The columns beside the fixed ones, with their types: the log's own, else the truth's, else a text (a time).

    A field that the model takes keeps the model's kind, and so does the slot.

    Args:
        version: the model.
        key: the columns that name what a prediction is about.
        slot: the column with the time that it is about, or None.
        there: the log's columns; empty if there is no table yet.
        truth: the columns of the table with the truth; empty if it is not known.

    Raises:
        TableError: if a column has a name that the table uses for something else, or a type that no field has.
    """
    names = (*key, slot) if slot else key
    own = {f.name: f.dtype for f in version.signature.inputs} if version.signature else {}
    found = []
    for name in names:
        if name in _FIXED:
            raise TableError(f"{name!r} is a column of every predictions table", next="rename the field")
        wanted = str(there[name]) if name in there else own.get(name, _SLOT if name == slot else "String")
        joined = truth.get(name) if name not in there and name != slot else None
        if joined is not None and (name not in own or (joined.is_numeric() and dtype_of(wanted).is_numeric())):
            wanted = str(joined)
        try:
            dtype_of(wanted)
        except SignatureError as error:
            what = f"{name!r} is {wanted}, which no field of a request can be"
            raise TableError(what, next="store it as a number, text, date or time") from error
        found.append((name, wanted))
    return found


def check_fits(
    version: ModelVersion, fields: list[tuple[str, str]], inputs: bool, there: Mapping[str, pl.DataType]
) -> dict[str, pl.DataType]:
    """Check that the log's rows go into the table; returns the columns that it will have.

    Args:
        version: the model.
        fields: as `logged_fields` gives them.
        inputs: whether the model's inputs are logged.
        there: the table's columns; empty if there is none yet.

    Raises:
        TableError: naming each column whose type does not fit, if one does not.
    """
    import polars as pl

    schema: dict[str, Any] = {"prediction_id": pl.String, **{name: dtype_of(dtype) for name, dtype in fields}}
    schema |= {"predicted_at": dtype_of(_SLOT), "model": pl.String, "model_version": pl.Int64, "run": pl.String}
    schema |= {"inputs": pl.String} if inputs else {}
    if version.signature:
        schema["value"] = pl.Float64 if is_number(version.signature.output.dtype) else pl.String
    given = storable(pl.LazyFrame(schema=schema)).collect_schema()
    try:  # not `fitted`: columns without values fit any table
        check_fit(given, pl.Schema(there or given), "append", "merge")
    except TableError as error:
        raise TableError(
            f"version {version.version} can't be logged there: {error.what}",
            next="log to another table: --table NAME",
        ) from error
    return {**there, **given}


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
    rows = _as_there(pl.concat(frames, how="diagonal_relaxed"), schema_of(tables, name))
    tables.write(name, Write("append", rows, schema_mode="merge"), identity=segment.identity, origin=origin)
    return rows.height


def _as_there(rows: pl.DataFrame, there: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Numbers as texts, or texts that are nothing else as whole numbers, where the table has them so.

    A file that an endpoint left behind may be older than the table, or the table older than the truth's types.
    """
    import polars as pl

    found = []
    for column in rows.get_columns():
        wanted = there.get(column.name, column.dtype)
        if wanted == pl.String and (
            column.dtype.is_integer() or (column.dtype.is_float() and column.name == "value")
        ):
            found.append(column.cast(pl.String))
        elif wanted.is_integer() and column.dtype == pl.String:
            numbers = column.cast(wanted, strict=False)
            found += [numbers] if numbers.cast(pl.String).equals(column) else []
    return rows.with_columns(found)


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    """With values of all kinds of numbers as Float64, so that versions of one model share a table."""
    import polars as pl

    dtype = frame["value"].dtype
    return frame.with_columns(
        pl.col("value").cast(pl.Float64 if dtype.is_numeric() or dtype == pl.Boolean else pl.String)
    )
