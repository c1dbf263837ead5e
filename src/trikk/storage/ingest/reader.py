"""Files with rows as one frame, by one set of rules for every format, or an error with file, line, column, value.

Types are decided by the values of all files together; what a type would change is refused, or kept as text where
nobody has said what it is. `trikk ingest` and every step that reads files come through here.
"""

from __future__ import annotations

import gzip
import json
import shutil
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from trikk.core.errors import StorageError, TableError, UsageError
from trikk.storage.ingest.column_types import (
    check_types,
    converted,
    dtype_of,
    joint,
    lost_path,
    name_of,
    with_text_for_nulls,
)
from trikk.storage.ingest.csv_text import Layout, read_csv, unreadable
from trikk.storage.ingest.json_lines import read_json_lines
from trikk.storage.ingest.text_types import (
    Doubt,
    are_all_numbers,
    doubts,
    inferred,
    inferred_moments,
    misfits,
    text_doubts,
    typed,
)
from trikk.storage.tables.types import stored_type

if TYPE_CHECKING:
    import polars as pl

FORMATS = ("csv", "parquet", "jsonl")
ENDINGS = ".csv, .parquet, .jsonl or .ndjson, packed as .gz or .zst or not"
_ENDINGS = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_PACKED = (".gz", ".zst")
_CHUNK = 8 << 20
_SHOWN = 60


class _From(Enum):
    CSV = "csv"
    JSON = "jsonl"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are to be read.

    Attributes:
        columns: those to read, in this order; all if None.
        types: names of types by column, for what the values can't say.
        nulls: texts in CSV files that mean that there is no value.
        separator: between the values of CSV files; None: a comma, and a header that looks otherwise is refused.
        union: whether a column that a file lacks is null in its rows, instead of an error.
    """

    columns: Sequence[str] | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    nulls: Sequence[str] = ()
    separator: str | None = None
    union: bool = False

    def __post_init__(self) -> None:
        check_types(self.types)
        sign = self.separator
        if sign is not None and (len(sign) != 1 or not sign.isascii() or sign in '"\r\n'):
            raise UsageError(f"separator {sign!r} is not one character", next="give one, such as ';'")


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a file, or of a piece of it, as they came.

    Attributes:
        label: what the file is called.
        origin: its format.
        frame: its rows; of CSV, and for columns in `texts`, text whose type is not decided.
        lines: of each row, in the file.
        texts: columns of numbers that stand as text.
        blanks: how many blank lines there were.
    """

    label: str
    origin: _From
    frame: pl.DataFrame
    lines: Sequence[int]
    texts: frozenset[str] = frozenset()
    blanks: int = 0

    def at(self, row: int) -> str:
        """Where a row is: "a.csv line 3"."""
        return f"{self.label} {'row' if self.origin is _From.PARQUET else 'line'} {self.lines[row]}"


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows, and what there is to say of them.

    Attributes:
        frame: the rows, in the order of the files.
        types: the name of each column's type.
        doubts: what a careful reader would ask, a sentence each.
    """

    frame: pl.DataFrame
    types: dict[str, str]
    doubts: list[str]


def format_of(name: str, given: str | None = None) -> tuple[str, str]:
    """The format of a file and what it is packed with: ("csv", ".gz"), ("parquet", "").

    Args:
        name: its ending, in any case, tells both.
        given: a format that is known instead.

    Raises:
        UsageError: if the ending tells no format.
    """
    lower = name.lower()
    packed = next((ending for ending in _PACKED if lower.endswith(ending)), "")
    plain = lower[: len(lower) - len(packed)]
    form = given or next((kind for ending, kind in _ENDINGS.items() if plain.endswith(ending)), None)
    if form not in FORMATS:
        raise UsageError(
            f"the format of {name!r} is not known",
            next=f"use a name that ends in {ENDINGS}, or in a step format= one of {', '.join(FORMATS)}",
        )
    return form, packed


def read_parts(path: Path, kind: str, packed: str, label: str, reading: Reading) -> list[Part]:
    """Read one file, as it is.

    Args:
        path: the file.
        kind: "csv", "jsonl" or "parquet".
        packed: "", ".gz" or ".zst".
        label: what the file is called in errors.
        reading: how.

    Raises:
        StorageError: if it can't be read, with the line where there is one.
        UsageError: if a column that is asked for is not there.

    Returns:
        The file's parts; none if it is JSON lines without any.
    """
    with _unpacked(path, kind, packed, label) as plain:
        if kind == "csv":
            polars_reads = plain if packed == ".gz" else path
            parts = [_csv(*read_csv(polars_reads, plain, label, reading.separator), label, reading)]
        elif kind == "jsonl":
            wanted = [name for name, dtype in reading.types.items() if dtype == "String"]
            pieces = read_json_lines(plain, label, wanted)
            parts = [Part(label, _From.JSON, p.frame, p.lines, frozenset(p.texts)) for p in pieces]
        else:
            frame = _parquet(plain, label)
            parts = [Part(label, _From.PARQUET, frame, range(1, frame.height + 1))]
    for name in (reading.columns or ()) if parts else ():
        columns = dict.fromkeys(column for part in parts for column in part.frame.columns)
        if name not in columns:
            raise UsageError(
                f"{label} has no column {name!r}", where=label, next=f"it has: {', '.join([*columns][:20])}"
            )
    return parts


@contextmanager
def _unpacked(path: Path, kind: str, packed: str, label: str) -> Iterator[Path]:
    """The file's bytes; those of .zst only as lines, since Python can't unpack them (3.13), but polars can."""
    if not packed:
        yield path
        return
    with tempfile.TemporaryDirectory(
        prefix="trikk-unpacked-", dir=path.parent if packed == ".gz" else None
    ) as top:
        plain = Path(top, "plain")
        try:
            _gunzip(path, plain) if packed == ".gz" else _lines(path, plain)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise unreadable(
                label, kind, None, f"it is no whole {packed[1:].replace('gz', 'gzip')} file: {error}"
            ) from None
        yield plain


def _gunzip(path: Path, plain: Path) -> None:
    with gzip.open(path, "rb") as source, plain.open("wb") as file:
        shutil.copyfileobj(source, file, _CHUNK)


def _lines(path: Path, plain: Path) -> None:
    import polars as pl

    with plain.open("wb") as file:
        try:
            for piece in pl.scan_lines(path, glob=False).collect_batches(maintain_order=True, engine="streaming"):
                file.writelines(line.encode() + b"\n" for line in piece.to_series())
        except Exception as error:  # noqa: BLE001 - polars has many kinds for a damaged file
            raise EOFError(str(error)) from None


def _csv(text: pl.DataFrame, layout: Layout, label: str, reading: Reading) -> Part:
    import polars as pl

    lines: Sequence[int] = range(layout.first, layout.first + text.height)
    if not layout.is_plain and text.height != layout.lines:
        inside = text.select(pl.sum_horizontal(pl.all().str.count_matches("\n", literal=True))).to_series()
        rows = pl.int_range(0, text.height, eager=True)
        blanks = pl.Series([place - number for number, place in enumerate(layout.blanks)], dtype=pl.Int64)
        before = inside.cum_sum().shift(1, fill_value=0) + blanks.search_sorted(rows, side="right")
        lines = (rows + before + layout.first).to_list()
    if reading.nulls:
        text = text.with_columns(pl.all().replace(list(reading.nulls), [None] * len(reading.nulls)))
    return Part(label, _From.CSV, text, lines, blanks=len(layout.blanks))


def _parquet(path: Path, label: str) -> pl.DataFrame:
    import polars as pl

    try:
        return pl.scan_parquet(path, glob=False).collect()
    except Exception as error:  # noqa: BLE001 - polars raises many kinds for a damaged file
        reason = (str(error).splitlines() or [type(error).__name__])[0].replace(str(path), label)
        raise unreadable(label, "parquet", None, reason) from None


def united(
    parts: Sequence[Part],
    reading: Reading,
    *,
    table: pl.Schema | None = None,
    for_table: bool = False,
    may_lack: bool = False,
) -> Rows:
    """Put rows of files after one another, in types that all of their values have.

    Args:
        parts: of all files, in order.
        reading: how they were read.
        table: the columns of the table that takes them, whose types hold; Null where it has none yet.
        for_table: whether the types must be such as a table holds.
        may_lack: whether a column of the table may be in no file: then it is not in the rows.

    Raises:
        StorageError: if files do not fit each other or the table, naming file, line, column and value.
        UsageError: if a type is given for a column that is not there, or against the table.
    """
    import polars as pl

    if not parts:
        raise StorageError(
            "no file has a line", next="write at least one, or Parquet, which keeps columns without rows"
        )
    names = _names(parts, reading, table, may_lack)
    _check_given(reading, names, table, parts[0].label)
    columns: list[pl.Series] = []
    unlike: list[_Unlike] = []
    sentences: list[str] = []
    for name in names:
        given = reading.types.get(name)
        wanted = None if given is None else dtype_of(given)
        if table is not None and table[name] != pl.Null:
            wanted = table[name]
        column = _Pieces(name, [(part, part.frame.get_column(name, default=None)) for part in parts], for_table)
        try:
            values = (
                column.inferred(sentences) if wanted is None else column.fitted(wanted, named=given is not None)
            )
            columns.append(values)
        except _Unlike as error:
            unlike.append(error)
    if unlike:
        raise _unlike(unlike)
    sentences += [
        f"column {name!r}: its name begins or ends with a blank" for name in names if name != name.strip()
    ]
    blanks = sum(part.blanks for part in parts)
    if blanks:
        sentences.append(f"{blanks} blank {'line' if blanks == 1 else 'lines'} left out")
    frame = pl.DataFrame(columns)
    if not frame.height:
        sentences.clear()
    return Rows(frame, {name: name_of(dtype) for name, dtype in frame.schema.items()}, sentences)


def _names(parts: Sequence[Part], reading: Reading, table: pl.Schema | None, may_lack: bool) -> list[str]:
    """The columns that there will be; a file must have all of them, whatever of it a piece of its lines has."""
    files: dict[str, dict[str, None]] = {}
    for part in parts:
        files.setdefault(part.label, {}).update(dict.fromkeys(part.frame.columns))
    if reading.columns is not None:
        return list(reading.columns)
    if table is None:
        names = list(dict.fromkeys(name for columns in files.values() for name in columns))
        for label, columns in files.items():
            missing = [name for name in names if name not in columns]
            if missing and not reading.union:
                raise StorageError(
                    f"{label} has no column {missing[0]!r}, which another file has "
                    f"(beginning with {parts[0].label})",
                    where=label,
                    next="read them apart, or in a step say union=True for null in its place",
                )
        return names
    for label, columns in files.items():
        wrong = [
            f"column {name!r}: expected {table[name]}, found no such column"
            for name in table
            if name not in columns and not may_lack
        ]
        wrong += [f"column {name!r} is not in the table" for name in columns if name not in table]
        if wrong:
            raise StorageError(
                f"{label} does not fit: " + "; ".join(wrong),
                where=label,
                next="mend the file, or ingest it into a table of its own; nothing was written",
            )
        if list(columns) != list(files[parts[0].label]) and set(columns) != set(files[parts[0].label]):
            raise StorageError(
                f"{label} and {parts[0].label} have different columns",
                where=label,
                next="merge them one after the other",
            )
    return [name for name in table if name in files[parts[0].label]]


def _check_given(reading: Reading, names: Sequence[str], table: pl.Schema | None, where: str) -> None:
    import polars as pl

    for name, given in reading.types.items():
        if name not in names:
            raise UsageError(
                f"there is no column {name!r} for types=", where=where, next=f"there are: {', '.join(names)}"
            )
        if table is not None and table[name] not in (pl.Null, stored_type(name, dtype_of(given))):
            raise UsageError(
                f"column {name!r} is {table[name]} in the table, and {given} was given for it",
                where=where,
                next="leave the type out, or load the files into a table of its own",
            )


class _Unlike(Exception):
    """A column has types in two files that no type holds."""

    def __init__(self, name: str, known: pl.DataType, first: str, dtype: pl.DataType, file: str) -> None:
        self.name, self.file = name, file
        super().__init__(f"column {name!r} is {known} in {first}, and {dtype} in {file}")


def _unlike(columns: Sequence[_Unlike]) -> StorageError:
    """The error for all such columns at once, so that one more try will do."""
    named = {column.name: "String" for column in columns}
    types = ",".join(f"{name}={kind}" for name, kind in named.items())
    return StorageError(
        "; ".join(str(column) for column in columns),
        where=columns[0].file,
        next=f"name {'its type' if len(named) == 1 else 'their types'}: --types {types}, "
        f"in a step types={json.dumps(named, ensure_ascii=False)}",
    )


@dataclass(frozen=True, slots=True)
class _Pieces:
    """One column: of each part the values, None where the part lacks it."""

    name: str
    pieces: Sequence[tuple[Part, pl.Series | None]]
    for_table: bool

    def inferred(self, sentences: list[str]) -> pl.Series:
        """The column in the type that all values have; what is doubtful goes to `sentences`."""
        import polars as pl

        typed_parts = [
            (part, values) for part, values in self.pieces if values is not None and values.dtype != pl.Null
        ]
        untyped = [self._is_untyped(part) for part, _ in typed_parts]
        are_numbers = (u or v.dtype.is_numeric() for u, (_, v) in zip(untyped, typed_parts, strict=True))
        if not typed_parts or (any(untyped) and all(are_numbers)):
            text = pl.concat(
                [self._or_null(values, pl.String(), part.frame.height) for part, values in self.pieces],
                rechunk=False,
            )
            values = inferred(text)
            if values.dtype == pl.String and not all(untyped) and not are_all_numbers(text):
                self._joint(typed_parts)  # which names the two files
            sentences += self._sentences(doubts(text, values))
            if values.dtype == pl.String and any(part.origin is _From.CSV for part, _ in typed_parts):
                sentences += self._sentences(self._empties(text))
            return values
        dtype = known = self._joint(typed_parts)
        if self.for_table:
            dtype = self._stored(known)
            if known.is_nested() and with_text_for_nulls(known) != known:
                sentences.append(
                    f"column {self.name!r} has items or fields without a value in any row: they are text"
                )
        try:
            values = self.fitted(dtype, named=False)
        except StorageError:
            if not dtype.is_numeric():
                raise
            sentences.append(
                f"column {self.name!r}: no type holds all its numbers without loss, so the whole column is text"
            )
            return self.fitted(pl.String(), named=True)
        if dtype == pl.String:
            if all(part.origin is not _From.PARQUET for part, _ in typed_parts):
                values = inferred_moments(values)
            if values.dtype == pl.String:
                sentences += self._sentences(text_doubts(values))
        return values

    def fitted(self, wanted: pl.DataType, *, named: bool) -> pl.Series:
        """The column as a type that somebody has named; StorageError at the first value that it would change."""
        import polars as pl

        columns = []
        for part, values in self.pieces:
            if values is None or values.dtype == pl.Null:
                columns.append(self._or_null(None, wanted, part.frame.height))
                continue
            if self._is_untyped(part):
                if wanted != pl.String:
                    values = values.replace("", None)  # noqa: PLW2901 - quoted, but no value of such a type
                series = typed(values, wanted)
                bad = misfits(values, series)
            else:
                series = converted(values, wanted, named=named)
                bad = (series.is_null() & values.is_not_null()).arg_true()
            if len(bad):
                self._refuse(part, values, int(bad[0]), wanted, len(bad))
            columns.append(series)
        return pl.concat(columns, rechunk=False)

    def _stored(self, known: pl.DataType) -> pl.DataType:
        """The type in which a table has a column; TableError, with file and way out, where it can't have it."""
        where = next(
            (part.label for part, values in self.pieces if values is not None and values.dtype == known), None
        )
        try:
            return stored_type(self.name, with_text_for_nulls(known), where=where)
        except TableError as error:
            if not known.is_nested():
                error.next = f"take it as text: --types {self.name}=String"
            raise

    def _is_untyped(self, part: Part) -> bool:
        return part.origin is _From.CSV or self.name in part.texts

    def _or_null(self, values: pl.Series | None, dtype: pl.DataType, rows: int = 0) -> pl.Series:
        import polars as pl

        if values is None:
            return pl.Series(self.name, [None], dtype=dtype).new_from_index(0, rows)
        return values.cast(dtype)

    def _joint(self, parts: Sequence[tuple[Part, pl.Series]]) -> pl.DataType:
        """The type of all parts together; two that have none are named."""
        import polars as pl

        first, known = parts[0][0], pl.Null()
        for part, values in parts:
            dtype = (inferred(values) if self._is_untyped(part) else values).dtype
            if values.null_count() == len(values):
                continue
            both = joint(known, dtype)
            if both is None:
                raise _Unlike(self.name, known, first.label, dtype, part.label)
            if known == pl.Null:
                first = part
            known = both
        return parts[0][1].dtype if known == pl.Null else known

    def _empties(self, text: pl.Series) -> Iterator[Doubt]:
        empty = (text == "").arg_true()
        if len(empty):
            yield Doubt("is an empty text in quotes; one without quotes is null", int(empty[0]), len(empty))

    def _sentences(self, doubts: Iterator[Doubt]) -> Iterator[str]:
        for doubt in doubts:
            if doubt.row is None:
                way_out = f"it is text; --types {self.name}=TYPE says what it is"
                yield f"column {self.name!r} {doubt.question}: {way_out}"
                continue
            part, row = self._part_of(doubt.row)
            shown = str(part.frame[self.name][row])[:_SHOWN]
            rows = "1 row" if doubt.count == 1 else f"{doubt.count:,} rows"
            yield f"column {self.name!r}: {shown!r} ({part.at(row)}) {doubt.question} ({rows})"

    def _part_of(self, row: int) -> tuple[Part, int]:
        for part, _ in self.pieces:
            if row < part.frame.height:
                return part, row
            row -= part.frame.height
        raise IndexError(row)

    def _refuse(self, part: Part, values: pl.Series, row: int, wanted: pl.DataType, count: int) -> NoReturn:
        value: Any = values[row]
        kind, at, hint = "", self.name, "mend the file, or name another type in --types (types= in a step)"
        if not self._is_untyped(part):
            kind = f"{values.dtype} "
        if values.dtype.is_nested():
            value = values.slice(row, 1).to_list()[0]
            kept = values.slice(row, 1).cast(wanted, strict=False).to_list()[0] if wanted.is_nested() else None
            at += lost_path(value, kept)
            hint = "mend the file"
        more = f" (and {count - 1} more)" if count > 1 else ""
        path = "" if at == self.name else f", at {at}"
        shown = f"{kind}{str(value)[:_SHOWN]!r}{more}"
        raise StorageError(
            f"{part.at(row)}, column {self.name!r}{path}: expected {wanted}, found {shown}",
            where=f"{part.label}:{part.lines[row]}",
            next=f"{hint}; nothing was written",
        )


def types_named(pairs: Iterable[str]) -> dict[str, str]:
    """Types by column, from texts such as "id=Int64"; UsageError if one is none."""
    types = {}
    for pair in pairs:
        column, equals, dtype = pair.rpartition("=")
        if not equals or not column:
            raise UsageError(
                f"--types {pair!r} is not a COLUMN=TYPE", next="write it as in --types id=Int64,note=String"
            )
        types[column] = dtype
    return types
