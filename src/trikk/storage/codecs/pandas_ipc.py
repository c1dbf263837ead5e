"""Pandas frames as Arrow tables and back, value for value.

Arrow alone changes some on the way: integers with nulls become floats, and objects what Arrow takes them for. What
it would change is brought back by a note in the table's metadata, or refused before it is stored. Only columns of
objects are compared value by value; for all others the types say it, from a table of no rows.
"""

from __future__ import annotations

import json
import re
import warnings
from datetime import datetime
from typing import Any

from trikk.core.errors import CodecError, MissingExtra, UsageError
from trikk.core.values import decode, encode
from trikk.storage.codecs.arrow_ipc import pyarrow

_NOTE = b"trikk"
_SHOWN = 60  # characters of a value in an error
_MISSING = {"None": None, "nan": float("nan")}
_ONE_TYPE = (
    "give the column values of one type and one kind of missing value, make texts of them (json.dumps), "
    "or return them as a list instead of a column"
)


def from_pandas(frame: Any) -> Any:
    """A pandas DataFrame as a pyarrow Table, with its index, labels and dtypes in the schema's metadata.

    Raises:
        CodecError: if a column, label or index would not come back as it is.
        MissingExtra: if pyarrow is not installed.
    """
    table = _arrow(frame)
    columns = {str(n): way for n in range(frame.shape[1]) if (way := _way(frame.iloc[:, n], table.column(n)))}
    table = _without_arrow_dtypes(table, columns)
    note = {"columns": columns, **_labels_note(frame, table)}
    if not any(note.values()):
        return table
    return table.replace_schema_metadata({**table.schema.metadata, _NOTE: json.dumps(note, sort_keys=True)})


def without_index(frame: Any) -> Any:
    """The columns of a pandas DataFrame as a pyarrow Table, objects as what Arrow takes them for.

    Raises:
        CodecError: if a column has no type, or two have one label.
        MissingExtra: if pyarrow is not installed.
    """
    return _arrow(frame, preserve_index=False)


def _arrow(frame: Any, *, preserve_index: bool | None = None) -> Any:
    pa = pyarrow()
    _check_labels(frame)
    try:
        with warnings.catch_warnings(action="ignore"):  # of labels that are no texts: they are noted
            return pa.Table.from_pandas(frame, preserve_index=preserve_index)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise CodecError(
            f"this pandas.DataFrame can't be stored: {', '.join(map(str, error.args))}", next=_ONE_TYPE
        ) from error


def to_pandas(table: Any, *, date_as_object: bool) -> Any:
    """A pyarrow Table as a pandas DataFrame of its own memory, which may be changed.

    What pandas wrote comes back as it was. Of any other table, integers and booleans with nulls become pandas'
    nullable types, decimals objects of `decimal.Decimal`, and what else NumPy can't hold exactly Arrow's types in
    pandas.

    Args:
        table: the rows.
        date_as_object: whether dates are objects of `datetime.date`, else datetime64[ms]; of what pandas did not
            write.

    Raises:
        CodecError: if a column is of a type that pandas can't hold.
        MissingExtra: if pandas is not installed.
    """
    pa = pyarrow()
    try:
        import pandas as pd  # noqa: F401
    except ImportError:
        raise MissingExtra("a pandas frame", "pandas") from None
    metadata = table.schema.metadata or {}
    note = json.loads(metadata[_NOTE]) if _NOTE in metadata else {}
    ways, plain = note.get("columns", {}), table
    if b"pandas" not in metadata:
        ways = {n: way for n, column in enumerate(table.columns) if (way := _way_of_type(column))}
        for n in ways:
            plain = plain.set_column(n, table.schema.names[n], pa.nulls(table.num_rows))
    try:
        frame = plain.to_pandas(date_as_object=date_as_object or b"pandas" in metadata)
    except (pa.ArrowException, ValueError) as error:
        raise CodecError(
            f"this frame can't be given as pandas: {error}", next="ask for it as polars, or cast the column"
        ) from error
    for n, way in ways.items():
        frame.isetitem(int(n), _restored(table.column(int(n)), way, frame.index))
    _relabel(frame, note)
    return frame


def _relabel(frame: Any, note: dict[str, Any]) -> None:
    import pandas as pd

    if note.get("labels"):
        frame.columns = pd.Index(decode(note["labels"]), dtype=object, tupleize_cols=False)
    if note.get("columns_names"):
        frame.columns.names = decode(note["columns_names"])
    if note.get("index_names"):
        frame.index.names = decode(note["index_names"])


def _check_labels(frame: Any) -> None:
    seen: dict[str, object] = {}
    for label in frame.columns:
        if str(label) in seen:
            raise CodecError(
                f"two columns of this pandas.DataFrame are labelled {seen[str(label)]!r} and {label!r}",
                next="give each column a label of its own",
            )
        seen[str(label)] = label


def _way_of_type(column: Any) -> dict[str, Any] | None:
    """How a column that pandas did not write is brought to pandas; None where Arrow's own way changes nothing."""
    types = pyarrow().types
    if types.is_integer(column.type) or types.is_boolean(column.type):
        return {"as": "nullable"} if column.null_count else None
    if types.is_nested(column.type) or types.is_time(column.type):
        return None if _comes_back(column) else {"as": "arrow"}
    return None


def _comes_back(column: Any) -> bool:
    """Whether a column is the same after it was objects in pandas, but for the digits that decimals may have."""
    import polars as pl

    pa = pyarrow()
    try:
        was: Any = pl.from_arrow(column)
        back: Any = pl.from_arrow(pa.array(column.to_pandas(), from_pandas=True))
        types = [re.sub(r"precision=\d+", "", str(dtype)) for dtype in (was.dtype, back.dtype)]
        return types[0] == types[1] and bool(was.equals(back.cast(was.dtype)))
    except Exception:  # noqa: BLE001 - whatever it is, Arrow's own type in pandas changes nothing
        return False


def _way(values: Any, column: Any) -> dict[str, Any] | None:
    """How a column of a pandas frame comes back as it is; None where it does by itself."""
    import pandas as pd

    if isinstance(values.dtype, pd.ArrowDtype):
        return {"as": "arrow"}
    return _way_of_objects(values, column) if pd.api.types.is_object_dtype(values.dtype) else None


def _way_of_objects(values: Any, column: Any) -> dict[str, Any] | None:
    """How a column of objects comes back as it is; None where it does by itself.

    Raises:
        CodecError: if it does not.
    """
    import pandas as pd

    given = values.tolist()
    plain = column.to_pandas()
    if pd.api.types.is_object_dtype(plain) and _all_same(plain.tolist(), given):
        return None
    missing = values.isna().tolist()
    kinds = {_missing_kind(value) for value, absent in zip(given, missing, strict=True) if absent}
    first = next((type(value) for value, absent in zip(given, missing, strict=True) if not absent), None)
    way = {"as": "objects", "missing": min(kinds, default="None"), "made": first.__name__ if first else "str"}
    back = _restored(column, way, values.index).tolist() if len(kinds) <= 1 else plain.tolist()
    if _all_same(back, given):
        return way
    row = next(n for n, (b, g) in enumerate(zip(back, given, strict=True)) if not _same(b, g))
    raise CodecError(
        f"column {values.name!r} holds Python objects that would come back otherwise: "
        f"{_shown(given[row])} as {_shown(back[row])} in row {row}",
        next=_ONE_TYPE,
    )


def _restored(column: Any, way: dict[str, Any], index: Any) -> Any:
    """A column of a table as a pandas Series."""
    import pandas as pd

    if way["as"] == "arrow":
        return pd.Series(pd.arrays.ArrowExtensionArray(column), index=index)
    if way["as"] == "nullable":
        dtype: Any = pd.api.types.pandas_dtype(_nullable(str(column.type)))
        return pd.Series(dtype.__from_arrow__(column), index=index)
    make = _maker(way["made"])
    absent = {**_MISSING, "NaT": pd.NaT, "NA": pd.NA}[way["missing"]]
    cells = [absent if value is None else make(value) for value in column.to_pylist()]
    return pd.Series(_objects(cells), dtype=object, index=index)


def _objects(cells: list[Any]) -> Any:
    """The cells as an array of one dimension, whatever they are: numpy would look into lists."""
    import numpy as np

    array = np.empty(len(cells), dtype=object)
    for n, cell in enumerate(cells):
        array[n] = cell
    return array


def _maker(name: str) -> Any:
    """What makes a cell of the type of that name of what Arrow gives."""
    import numpy as np
    import pandas as pd

    known: dict[str, Any] = {
        "tuple": tuple,
        "set": set,
        "Timestamp": pd.Timestamp,
        "Timedelta": pd.Timedelta,
    }
    number = vars(np).get(name)
    if isinstance(number, type) and issubclass(number, np.number | np.bool):
        return number
    return known.get(name, lambda value: value)


def _nullable(name: str) -> str:
    """The name of pandas' nullable type for one of Arrow's integers, or bool."""
    return {"bool": "boolean"}.get(name, name.replace("int", "Int").replace("uI", "UI"))


def _missing_kind(value: object) -> str:
    import pandas as pd

    if value is None:
        return "None"
    if value is pd.NaT:
        return "NaT"
    if value is pd.NA:
        return "NA"
    return "nan" if type(value) is float else type(value).__name__


def _without_arrow_dtypes(table: Any, columns: dict[str, Any]) -> Any:
    """The table without those names of Arrow's types in its metadata that pandas can't read back."""
    if not any(way["as"] == "arrow" for way in columns.values()):
        return table
    pandas = json.loads(table.schema.metadata[b"pandas"])
    for n, way in columns.items():
        if way["as"] == "arrow":
            pandas["columns"][int(n)]["numpy_type"] = "object"
    return table.replace_schema_metadata({**table.schema.metadata, b"pandas": json.dumps(pandas)})


def _labels_note(frame: Any, table: Any) -> dict[str, Any]:
    """What has to be noted of labels and names, once index and dtypes are known to come back.

    Raises:
        CodecError: if something of these does not.
    """
    try:
        bare = table.slice(0, 0).to_pandas()
    except (TypeError, ValueError, pyarrow().ArrowException) as error:
        raise CodecError(
            f"this pandas.DataFrame would not come back as it is: {error}", next="use texts as labels of columns"
        ) from error
    _check_dtypes(frame, bare)
    _check_index(frame, table)
    note: dict[str, Any] = {}
    if not _all_same(list(bare.columns), list(frame.columns)):
        note["labels"] = _noted(list(frame.columns), "labels of its columns", multi=frame.columns.nlevels > 1)
    for name, was, back in (
        ("columns_names", frame.columns.names, bare.columns.names),
        ("index_names", frame.index.names, bare.index.names),
    ):
        if not _all_same(list(back), list(was)):
            note[name] = _noted(list(was), "names of its index", multi=False)
    return note


def _noted(labels: list[Any], subject: str, *, multi: bool) -> Any:
    try:
        noted = encode(labels)
        if not multi and _all_same(decode(noted), labels):
            return noted
    except UsageError:
        pass
    shown = ", ".join(map(repr, labels[:5]))
    raise CodecError(
        f"the {subject} would not come back as they are: {shown}", next="use texts, or whole numbers alone"
    )


def _check_dtypes(frame: Any, bare: Any) -> None:
    import pandas as pd
    from pandas.api.types import is_object_dtype

    for label, was, back in zip(frame.columns, frame.dtypes, bare.dtypes, strict=True):
        texts = isinstance(was, pd.StringDtype) and isinstance(back, pd.StringDtype)
        if was == back or texts or is_object_dtype(was) or isinstance(was, pd.ArrowDtype):
            continue
        raise CodecError(
            f"column {label!r} of dtype {was} would come back as {back}",
            next="cast it to a dtype of numbers, texts or moments",
        )


def _check_index(frame: Any, table: Any) -> None:
    import pandas as pd

    if isinstance(frame.index, pd.RangeIndex):
        return
    fields = json.loads(table.schema.metadata[b"pandas"])["index_columns"]
    back = table.select([name for name in fields if isinstance(name, str)]).to_pandas().index
    if not _same_index(frame.index, back):
        raise CodecError(
            f"the index of this pandas.DataFrame ({frame.index.dtype}) would come back as {back.dtype}, "
            f"{_shown(list(frame.index[:3]))} as {_shown(list(back[:3]))}",
            next="make it a column (reset_index), or give it one plain type",
        )


def _same_index(was: Any, back: Any) -> bool:
    from pandas.api.types import is_object_dtype

    if was.nlevels > 1:
        return was.nlevels == back.nlevels and all(
            _same_index(was.get_level_values(n), back.get_level_values(n)) for n in range(was.nlevels)
        )
    if is_object_dtype(was) or is_object_dtype(back):
        return _all_same(was.tolist(), back.tolist())
    return was.dtype == back.dtype and bool(was.equals(back))


def _all_same(a: list[Any], b: list[Any]) -> bool:
    if len(a) != len(b) or list(map(type, a)) != list(map(type, b)):
        return False
    return all(map(_same, a, b))


def _same(a: Any, b: Any) -> bool:
    """Whether two values are the same, types included, whatever they hold."""
    if type(a) is not type(b):
        return False
    if a is b:
        return True
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(_same(value, b[key]) for key, value in a.items())
    if type(a).__name__ == "ndarray":
        return _same_arrays(a, b)
    if isinstance(a, datetime) and a.utcoffset() != b.utcoffset():
        return False
    return _equal(a, b)


def _same_arrays(a: Any, b: Any) -> bool:
    import numpy as np

    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return (
        _all_same(a.tolist(), b.tolist())
        if a.dtype == object
        else np.array_equal(a, b, equal_nan=a.dtype.kind in "fmM")
    )


def _equal(a: Any, b: Any) -> bool:
    try:
        return bool(a == b) or bool(a != a and b != b)  # noqa: PLR0124 - a NaN is itself
    except (TypeError, ValueError):
        return False


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
