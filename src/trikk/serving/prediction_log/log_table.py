"""The predictions table as an endpoint fills it: its columns, and whole log files put in exactly once."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trikk.core.errors import SignatureError, TableError, UnknownName
from trikk.models.calling.dtypes import dtype_of, is_number
from trikk.models.signature import Signature
from trikk.models.task import PROBABILITY
from trikk.models.version import ModelVersion
from trikk.serving.model_processes.typed_columns import value_as
from trikk.serving.prediction_log.spool import Segment
from trikk.storage.tables.table_write import Write
from trikk.storage.tables.types import check_fit, storable, stored_type

if TYPE_CHECKING:
    import polars as pl

    from trikk.storage.tables.versioned_tables import Tables

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
    schema: Mapping[str, pl.DataType],
    truth: Mapping[str, pl.DataType],
) -> list[tuple[str, str]]:
    """The columns beside the fixed ones, with their types: the log's own, else the truth's, else a text (a time).

    A field that the model takes keeps the model's kind, and so does the slot.

    Args:
        version: the model.
        key: the columns that name what a prediction is about.
        slot: the column with the time that it is about, or None.
        schema: the log's columns; empty if there is no table yet.
        truth: the columns of the table with the truth; empty if it is not known.

    Raises:
        TableError: if a column has a name that the table uses for something else, or a type that no field has.
    """
    names = (*key, slot) if slot else key
    signature = version.signature
    own = {f.name: str(stored_type(f.name, dtype_of(f.dtype))) for f in signature.inputs} if signature else {}
    reserved = {*_FIXED, *(field.name for field in signature.outputs)} if signature else {*_FIXED}
    fields = []
    for name in names:
        if name in reserved:
            raise TableError(f"{name!r} is a column of every predictions table", next="rename the field")
        # The table as it is comes first: a new version must not break what is logged already.
        wanted = str(schema[name]) if name in schema else own.get(name, _SLOT if name == slot else "String")
        joined = truth.get(name) if name not in schema and name != slot else None
        # In the truth's type, as a monitor joins the two; but not where the model takes it as another kind.
        if joined is not None and (name not in own or (joined.is_numeric() and dtype_of(wanted).is_numeric())):
            wanted = str(joined)
        try:
            dtype_of(wanted)
        except SignatureError as error:
            problem = f"{name!r} is {wanted}, which no field of a request can be"
            raise TableError(problem, next="store it as a number, text, date or time") from error
        fields.append((name, wanted))
    return fields


def check_fits(
    version: ModelVersion, fields: list[tuple[str, str]], inputs: bool, stored: Mapping[str, pl.DataType]
) -> dict[str, pl.DataType]:
    """Check that the log's rows go into the table; returns the columns that it will have.

    Raises:
        TableError: naming each column whose type does not fit, if one does not.
    """
    import polars as pl

    schema: dict[str, Any] = {"prediction_id": pl.String, **{name: dtype_of(dtype) for name, dtype in fields}}
    schema |= {"predicted_at": dtype_of(_SLOT), **outputs(version.signature, stored.get("value"))}
    schema |= {"model": pl.String, "model_version": pl.Int64, "run": pl.String}
    schema |= {"inputs": pl.String} if inputs else {}
    try:  # not `fitted`: columns without values fit any table
        given = storable(pl.LazyFrame(schema=schema)).collect_schema()
        check_fit(given, pl.Schema(stored or given), "append", "merge")
        _check_values(stored)
    except TableError as error:
        raise TableError(
            f"version {version.version} can't be logged there: {error.what}",
            next="log to another table: --table NAME",
        ) from error
    return {**stored, **given}


def _check_values(stored: Mapping[str, pl.DataType]) -> None:
    """Refuse a table whose values are of a type that no model gives, whatever the version's signature says."""
    import polars as pl

    dtype = stored.get("value", pl.Float64())
    if dtype != pl.String and (dtype.is_decimal() or not is_number(dtype)):
        raise TableError(f"'value' is {dtype}, which no model's values can be")


def versions_in(tables: Tables, name: str) -> list[tuple[str, int]]:
    """The versions, by model and number, whose probabilities of one class a table holds."""
    import polars as pl

    if not {PROBABILITY, "model", "model_version"} <= set(schema_of(tables, name)):
        return []
    rows = tables.scan(name).filter(pl.col(PROBABILITY).is_not_null()).select("model", "model_version")
    return rows.unique().drop_nulls().sort(pl.all()).collect(engine="streaming").rows()


def check_positive(version: ModelVersion, logged: Iterable[ModelVersion]) -> None:
    """Refuse a probability of the one class in a column that holds the other one's: nobody could tell them apart.

    Raises:
        TableError: if the positive class of another is the negative one of this.
    """
    classes, own = _positive(version)
    for earlier in logged:
        _, theirs = _positive(earlier)
        if theirs is not None and theirs != own and theirs in classes:
            raise TableError(
                f"version {version.version} can't be logged there: its {PROBABILITY} is that of {own}, and "
                f"version {earlier.version} has that of {theirs} there",
                next=f"register it with {theirs} as the positive class, or log to another table: --table NAME",
            )


def _positive(version: ModelVersion) -> tuple[list[str], str | None]:
    """The classes of a version as texts, and of two the one whose probability it gives; None if it gives none."""
    signature = version.signature
    if signature is None or signature.classes is None or signature.positive is None:
        return [], None
    likely = signature.probabilities or signature.method == "predict_proba"
    return (signature.classes.texts, signature.classes.positive_text) if likely else ([], None)


def outputs(signature: Signature | None, stored: pl.DataType | None) -> dict[str, pl.DataType]:
    """The columns of what a version predicts, as the table holds them; none for one without a signature.

    Numbers are Float64, so that versions of one model share a table. Classes keep their own type, but where a
    table of numbers, such as an older build's, holds each of them.
    """
    import polars as pl

    if signature is None:
        return {}
    columns = {field.name: dtype_of(field.dtype) for field in signature.outputs}
    value, classes = columns["value"], signature.classes
    if not is_number(value):
        columns["value"] = pl.String()
    elif classes is None or value.is_float():
        columns["value"] = pl.Float64()
    elif stored is not None and _holds(stored, value, classes.values):
        columns["value"] = stored
    return columns


def _holds(table: pl.DataType, own: pl.DataType, values: Sequence[Any]) -> bool:
    """Whether numbers of a table can be the classes, which are whole numbers or truth values."""
    import polars as pl

    if not (table.is_float() or (table.is_integer() and own.is_integer())):
        return False
    return pl.Series(values, dtype=own, strict=False).cast(table, strict=False).to_list() == [*values]


def put(
    tables: Tables, name: str, segment: Segment, origin: dict[str, str], wanted: Mapping[str, pl.DataType]
) -> int:
    """Put a log file into the table, if it is not there yet; returns its rows.

    Raises:
        TableError: if the table does not take them; nothing of them is there then.
        OSError: if the file can't be read.
    """
    import polars as pl

    stored = schema_of(tables, name)
    value = stored.get("value", wanted.get("value"))
    frames = [_logged(pl.read_ipc_stream(io.BytesIO(record)), value) for record in segment.records()]
    if not frames:
        return 0
    rows = _as_stored(pl.concat(frames, how="diagonal_relaxed"), stored)
    tables.write(name, Write("append", rows, schema_mode="merge"), identity=segment.identity, origin=origin)
    return rows.height


def _logged(frame: pl.DataFrame, wanted: pl.DataType | None) -> pl.DataFrame:
    """With values of the type that the table has; else numbers as Float64, and all others as texts."""
    import polars as pl

    dtype = pl.Float64() if is_number(frame["value"].dtype) else pl.String()
    return frame.with_columns(value_as(frame["value"], wanted or dtype))


def _as_stored(rows: pl.DataFrame, stored: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Whole numbers as texts, or texts that are nothing else as whole numbers, where the table has them so.

    A file that an endpoint left behind may be older than the table, or the table older than the truth's types.
    """
    import polars as pl

    columns = []
    for column in rows.get_columns():
        wanted = stored.get(column.name, column.dtype)
        if wanted == pl.String and column.dtype.is_integer():
            columns.append(column.cast(pl.String))
        elif wanted.is_integer() and column.dtype == pl.String:
            numbers = column.cast(wanted, strict=False)
            columns += [numbers] if numbers.cast(pl.String).equals(column) else []
    return rows.with_columns(columns)
