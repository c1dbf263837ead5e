"""Which kind of frame an argument arrives as, decided here and nowhere else.

An annotation that names one kind of frame gets it, wherever the rows come from: a table, a result, a part of one,
an item of a map, or a list or dict with frames inside. One that names several gets the kind that the rows are, if
that is among them, else the first. One that names none gets the rows as they are; a table's are a LazyFrame.
What can't be given as that kind is refused.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from trikk.core.errors import CodecError
from trikk.pipeline import typechecks
from trikk.storage.codec import type_name
from trikk.storage.codecs import arrow_ipc, pandas_ipc
from trikk.storage.stacking import stacked

if TYPE_CHECKING:
    import polars as pl

POLARS = ("polars.DataFrame", "polars.LazyFrame", "polars.Series")
PANDAS = ("pandas.DataFrame", "pandas.Series")
ARROW = ("pyarrow.Table", "pyarrow.RecordBatch")
KINDS = (*POLARS, *PANDAS, *ARROW)
UNNAMED_INDEX = "__index_level_"


def kind_for(annotation: object, kind: str) -> str:
    """The kind of frame as which rows of some kind go to a parameter with an annotation."""
    named = _named(annotation)
    return kind if kind in named or not named else named[0]


def arriving(value: Any, annotation: object) -> Any:
    """A value as a parameter with an annotation gets it: each frame, also in lists, tuples and dicts, in its kind.

    Raises:
        CodecError: if the annotation says what kind of frame it takes, and the value can't be given as that; or if
            the value is a frame, and the annotation is of something else.
        MissingExtra: if the library is not installed.
    """
    if annotation is None or value is None or not (type_name(value) in KINDS or _mentions(annotation)):
        return value
    given = _converted(value, annotation)
    if not typechecks.fits(given, annotation):
        raise CodecError(
            f"{_a(value)} can't be given as {typechecks.show(annotation)}",
            next="change the annotation, or return another kind from the step before",
        )
    return given


def as_kind(value: Any, kind: str, *, date_as_object: bool = False) -> Any:
    """A frame, or a column, of any kind as another kind.

    Args:
        value: of one of `KINDS`.
        kind: one of `KINDS`.
        date_as_object: how pandas gets the dates of another kind (`pandas_ipc.to_pandas`).

    Raises:
        CodecError: if one column is wanted and there are several, or a type of column can't be given.
        MissingExtra: if the library is not installed.
    """
    if type_name(value) == kind:
        return value
    if kind in POLARS:
        lazy = value if type_name(value) == "polars.LazyFrame" else _polars(value).lazy()
        if kind == "polars.LazyFrame":
            return lazy
        frame = lazy.collect()
        return frame if kind == "polars.DataFrame" else _only(frame, frame.columns, kind).to_series()
    table = _arrow(value)
    if kind == "pyarrow.Table":
        return table
    if kind == "pyarrow.RecordBatch":
        batches = table.combine_chunks().to_batches()
        return batches[0] if batches else arrow_ipc.empty_batch(table.schema)
    in_pandas = pandas_ipc.to_pandas(table, date_as_object=date_as_object)
    return in_pandas if kind == "pandas.DataFrame" else _only(in_pandas, in_pandas.columns, kind).iloc[:, 0]


def item_annotations(annotation: object, length: int, keys: Sequence[object] | None = None) -> list[object]:
    """What the annotation of a container says of each of its items; Any where it says nothing.

    Args:
        annotation: such as `list[X]`, `tuple[X, Y]`, `Mapping[str, X]`, a NamedTuple, a TypedDict or a union.
        length: how many items there are.
        keys: of a dict.
    """
    for part in _members(annotation):
        origin, args = get_origin(part), get_args(part)
        if keys is not None and isinstance(part, type) and issubclass(part, dict):
            hints = typechecks.annotations_of(part)
            return [hints.get(str(key), Any) for key in keys]
        fixed, _ = typechecks.tuple_parts(part)
        if keys is None and fixed and len(fixed) == length:
            return list(fixed)
        if isinstance(origin, type) and args and issubclass(origin, Iterable):
            is_dict = issubclass(origin, Mapping) and len(args) == 2
            if is_dict == (keys is not None) and (origin is not tuple or Ellipsis in args):
                return [args[1] if is_dict else args[0]] * length
    return [Any] * length


def rows_of(value: Any) -> pl.DataFrame:
    """One polars frame from whatever a step may give a table: a frame of any kind, or a list of frames.

    A list of nothing, such as what a map over no items gives, has neither rows nor columns.

    Raises:
        CodecError: if it is something else, or frames of a list do not go together.
    """
    if isinstance(value, list | tuple):
        return _collected(stacked([lazy_of(item) for item in value]))
    return _collected(lazy_of(value))


def lazy_of(value: Any) -> pl.LazyFrame:
    """A LazyFrame from a frame of any kind, or from a list of frames; errors as for `rows_of`."""
    import polars as pl

    if isinstance(value, pl.LazyFrame):
        return value
    if isinstance(value, pl.DataFrame):
        return value.lazy()
    if isinstance(value, list | tuple):
        return stacked([lazy_of(item) for item in value])
    kind = type_name(value)
    if kind not in KINDS or kind.endswith("Series"):
        raise CodecError(
            f"{type(value).__name__} holds no rows for a table",
            next="return a polars, pandas or pyarrow frame, or a list of frames",
        )
    return _polars(value).lazy()


def _collected(lazy: pl.LazyFrame) -> pl.DataFrame:
    return lazy.collect(engine="streaming")


def _named(annotation: object) -> list[str]:
    """The kinds of frames that an annotation names itself, in its order: one, several in a union, or none."""
    kinds = []
    for part in _members(annotation):
        if isinstance(part, type):
            name = f"{part.__module__.partition('.')[0]}.{part.__qualname__}"
            kinds += [name] if name in KINDS else []
    return kinds


def _members(annotation: object) -> list[object]:
    """The annotation, or those that a union or an Annotated one has inside."""
    if get_origin(annotation) in (Union, types.UnionType):
        return [member for part in get_args(annotation) for member in _members(part)]
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    return [annotation]


def _mentions(annotation: object) -> bool:
    """Whether an annotation names a kind of frame, itself or for what is inside."""
    if _named(annotation):
        return True
    inside = [*get_args(annotation)]
    for part in _members(annotation):
        if isinstance(part, type) and issubclass(part, tuple | dict) and not get_args(part):
            inside += typechecks.annotations_of(part).values()
    return any(_mentions(part) for part in inside)


def _converted(value: Any, annotation: object) -> Any:
    if type_name(value) in KINDS:
        return as_kind(value, kind_for(annotation, type_name(value)))
    if type(value) is dict:
        wants = item_annotations(annotation, len(value), list(value))
        return {key: _converted(item, want) for (key, item), want in zip(value.items(), wants, strict=True)}
    if type(value) in (list, tuple):
        wants = item_annotations(annotation, len(value))
        items = [_converted(item, want) for item, want in zip(value, wants, strict=True)]
        return items if type(value) is list else _tuple(items, annotation)
    return value


def _tuple(items: list[Any], annotation: object) -> tuple[Any, ...]:
    """A tuple, of the NamedTuple that the annotation names, if it does."""
    for part in _members(annotation):
        types_of_parts, fields = typechecks.tuple_parts(part)
        if fields and len(types_of_parts) == len(items):
            named: tuple[Any, ...] = part(*items)  # type: ignore[operator]
            return named
    return tuple(items)


def _polars(value: Any) -> pl.DataFrame:
    """A frame or column of any kind as a polars DataFrame, without the index of a pandas one."""
    import polars as pl

    kind = type_name(value)
    if kind in POLARS:
        frame: pl.DataFrame = value.to_frame() if kind == "polars.Series" else value.lazy().collect()
        return frame
    table = pandas_ipc.without_index(_pandas_frame(value)) if kind in PANDAS else value
    converted = pl.from_arrow(table)
    assert isinstance(converted, pl.DataFrame)
    return converted


def _arrow(value: Any) -> Any:
    """A frame or column of any kind as a pyarrow Table; of pandas, with its index."""
    pa = arrow_ipc.pyarrow()
    kind = type_name(value)
    if kind in POLARS:
        try:
            return _polars(value).to_arrow()
        except pa.ArrowException as error:
            raise CodecError(
                f"this frame can't be given to Arrow or pandas: {error}", next="cast the column, or ask for polars"
            ) from error
    if kind in PANDAS:
        return pandas_ipc.from_pandas(_pandas_frame(value))
    return pa.Table.from_batches([value]) if kind == "pyarrow.RecordBatch" else value


def _pandas_frame(value: Any) -> Any:
    """A pandas DataFrame from one, or from a Series, which without a name is called `values`."""
    if type_name(value) == "pandas.DataFrame":
        return value
    return value.to_frame(name="values" if value.name is None else value.name)


def _only(frame: Any, columns: Iterable[object], kind: str) -> Any:
    """The frame, if it has one column."""
    count = len(list(columns))
    if count != 1:
        raise CodecError(
            f"one column is wanted ({kind}), and the frame has {count}",
            next=f"annotate the parameter with {kind.partition('.')[0]}.DataFrame, or give one column",
        )
    return frame


def _a(value: object) -> str:
    inside = ""
    if isinstance(value, list | tuple | dict):
        items = value.values() if isinstance(value, dict) else value
        inside = " of " + ", ".join(sorted({type_name(item) for item in items})) if value else " of nothing"
    return f"{type_name(value)}{inside}"
