"""JSON lines as columns, with every value that is there: what does not fit beside others is refused with its path.

polars gives [1] for [1.5] after [1, 2], and drops fields that a first object did not have (2.1), so Python's
parser reads, a piece of the file at a time, and the types of all values decide.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from trikk.core.errors import StorageError
from trikk.storage.ingest.csv_text import unreadable

if TYPE_CHECKING:
    import polars as pl

_ROWS = 65_536  # lines at a time: only so many objects of Python are in memory
_EXACT, _INT64 = 2**53, 2**63  # where whole numbers stop being exact as Float64, and where Int64 ends
DEEPEST = 40
"""Lists and objects in one another: with some times as many no table can be read, and polars takes minutes."""
_SHOWN = 60
_NAMES = {bool: "Boolean", int: "Int64", float: "Float64", str: "String", list: "List", dict: "Struct"}


@dataclass(slots=True)
class Piece:
    """Some rows of a file.

    Attributes:
        frame: the rows; a column is of type Null where none has a value.
        lines: of each row.
        texts: columns of numbers that stand as text, since they fit no type of number all together.
    """

    frame: pl.DataFrame
    lines: Sequence[int]
    texts: set[str]


def read_json_lines(path: Path, label: str, as_text: Collection[str] = ()) -> Iterator[Piece]:
    """Read a file, one JSON object a line; blank lines are no rows, and a name that an object lacks is null in it.

    Args:
        path: the file, not packed.
        label: what the file is called in errors.
        as_text: columns whose values are wanted as text, whatever they are.

    Raises:
        StorageError: with line and path, if a line is no object, names a value twice, or holds one that fits no
            type together with those before it.
    """
    import polars as pl

    columns: dict[str, Shape] = {}
    for rows, lines in _objects(path, label):
        names = dict.fromkeys(name for row in rows for name in row)
        if "" in names:
            place = next(place for place, row in enumerate(rows) if "" in row)
            raise unreadable(label, "jsonl", lines[place], "it has a name that is empty")
        for name in names:
            columns.setdefault(name, Shape())
        texts: set[str] = set()
        series = []
        for name, shape in columns.items():
            values = [row.get(name) for row in rows]
            column = _Column(name, values, lines, label)
            series.append(column.as_text() if name in as_text else column.typed(shape, texts))
        # Nearly every file has no blank line, and a range costs nothing.
        is_dense = lines[-1] - lines[0] + 1 == len(lines)
        yield Piece(pl.DataFrame(series), range(lines[0], lines[-1] + 1) if is_dense else lines, texts)


def _objects(path: Path, label: str) -> Iterator[tuple[list[dict[str, Any]], list[int]]]:
    decode = json.JSONDecoder(object_pairs_hook=_object).decode
    with path.open("rb") as file:
        numbered = enumerate(file, start=1)
        while piece := list(islice(numbered, _ROWS)):
            rows, lines = [], []
            for number, line in piece:
                if not (stripped := line.strip()):
                    continue
                try:
                    row = decode(stripped.decode("utf-8-sig" if number == 1 else "utf-8"))
                except RecursionError:
                    raise unreadable(label, "jsonl", number, "it nests too deeply") from None
                except ValueError as error:
                    raise unreadable(label, "jsonl", number, _reason(error)) from None
                if type(row) is not dict:
                    raise unreadable(
                        label, "jsonl", number, f"it is not a JSON object, but {_NAMES.get(type(row), 'null')}"
                    )
                rows.append(row)
                lines.append(number)
            if rows:
                yield rows, lines


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"it names {next(n for n in names if names.count(n) > 1)!r} twice")
    return row


def _reason(error: ValueError) -> str:
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else f"it is not JSON: {error}"


@dataclass(slots=True)
class _Column:
    name: str
    values: list[Any]
    lines: list[int]
    label: str

    def as_text(self) -> pl.Series:
        import polars as pl

        return pl.Series(self.name, [_text(value) for value in self.values], dtype=pl.String)

    def typed(self, shape: Shape, texts: set[str]) -> pl.Series:
        """The values as the type of all so far; `texts` gets the name if they are numbers that fit no type."""
        import polars as pl

        kinds = set(map(type, self.values)) - {type(None)}
        together = shape.kinds | kinds
        if together & {list, dict} or (len(together) > 1 and together != {int, float}):
            self._add_each(shape)
        shape.kinds |= kinds
        if kinds <= {int, float} and kinds:
            return self._numbers(kinds, texts)
        try:
            return pl.Series(self.name, self.values, dtype=shape.dtype() if kinds else pl.Null(), strict=False)
        except UnicodeEncodeError:
            place = next(i for i, value in enumerate(self.values) if not _is_unicode(value))
            raise unreadable(
                self.label, "jsonl", self.lines[place], f"column {self.name!r} is not a Unicode text"
            ) from None

    def _numbers(self, kinds: set[type], texts: set[str]) -> pl.Series:
        import polars as pl

        whole = [value for value in self.values if type(value) is int] if int in kinds else []
        largest = max(map(abs, whole), default=0)
        if kinds == {int} and largest < _INT64:
            return pl.Series(self.name, self.values, dtype=pl.Int64)
        if float in kinds:
            self._refuse_overflow()
        if largest <= _EXACT or (float in kinds and all(int(float(v)) == v for v in whole)):
            return pl.Series(self.name, self.values, dtype=pl.Float64, strict=False)
        texts.add(self.name)
        return self.as_text()

    def _refuse_overflow(self) -> None:
        """1e999 is an infinity to the parser, and JSON has no infinity."""
        for place, value in enumerate(self.values):
            if type(value) is float and math.isinf(value):
                raise unreadable(
                    self.label, "jsonl", self.lines[place], f"column {self.name!r}: a number that no Float64 holds"
                )

    def _add_each(self, shape: Shape) -> None:
        for place, value in enumerate(self.values):
            try:
                shape.add(value)
            except Misfit as misfit:
                self._refuse(misfit, self.lines[place])

    def _refuse(self, misfit: Misfit, line: int) -> NoReturn:
        at, shown = self.name + "".join(misfit.path), repr(misfit.value)[:_SHOWN]
        raise StorageError(
            f"{self.label} line {line}, column {self.name!r}: {at} is {_NAMES[type(misfit.value)]} {shown}, "
            f"which does not fit {misfit.beside}",
            where=f"{self.label}:{line}",
            next=f"mend the file, or take the column as text: --types {self.name}=String; nothing was written",
        )


class Misfit(Exception):
    """A value that fits no type together with those before it, and the path to it."""

    def __init__(self, value: Any, beside: str) -> None:
        self.value, self.beside, self.path = value, beside, list[str]()


@dataclass(slots=True)
class Shape:
    """The types of the values at one path, in all rows so far."""

    kinds: set[type] = field(default_factory=set)
    fields: dict[str, Shape] = field(default_factory=dict)
    items: Shape | None = None
    largest: int = 0

    def add(self, value: Any, depth: int = 0) -> None:
        """Take in one value; raises Misfit if it fits no type together with those before, or nests too deeply."""
        if value is None:
            return
        if depth > DEEPEST:
            raise Misfit(value, f"a table: {DEEPEST} lists and objects in one another are the most")
        kind = type(value)
        if kind not in self.kinds:
            if self.kinds and not self.kinds | {kind} <= {int, float}:
                raise Misfit(value, f"the {' and '.join(_NAMES[k] for k in self.kinds)} before it")
            self.kinds.add(kind)
        if kind is int or kind is float:
            self._add_number(value)
        elif kind is dict:
            for name, inner in value.items():
                self._add_inner(self.fields.setdefault(name, Shape()), inner, f".{name}", depth + 1)
        elif kind is list:
            self.items = self.items or Shape()
            for place, inner in enumerate(value):
                self._add_inner(self.items, inner, f"[{place}]", depth + 1)

    def _add_inner(self, shape: Shape, value: Any, step: str, depth: int) -> None:
        try:
            shape.add(value, depth)
        except Misfit as misfit:
            misfit.path.insert(0, step)
            raise

    def _add_number(self, value: float) -> None:
        if type(value) is int:
            self.largest = max(self.largest, abs(value))
        elif math.isinf(value):
            raise Misfit(value, "Float64, which holds no such number")
        if self.largest >= _INT64:
            raise Misfit(value, "Int64")
        if self.largest > _EXACT and float in self.kinds:
            raise Misfit(value, "a number that Float64 rounds" if type(value) is float else "Float64 without loss")

    def dtype(self) -> pl.DataType:
        """The polars type that holds all of the values."""
        import polars as pl

        if dict in self.kinds:
            return pl.Struct({name: shape.dtype() for name, shape in self.fields.items()})
        if list in self.kinds:
            return pl.List(pl.Null() if self.items is None else self.items.dtype())
        if float in self.kinds:
            return pl.Float64()
        plain = {bool: pl.Boolean(), int: pl.Int64(), str: pl.String()}
        return next((plain[kind] for kind in self.kinds), pl.Null())


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _is_unicode(value: object) -> bool:
    try:
        str(value).encode()
    except UnicodeEncodeError:
        return False
    return True
