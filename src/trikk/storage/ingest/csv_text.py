"""A CSV file as columns of text, if every line of it is what the header says; else an error with the line.

polars gives a row of nulls for a blank line, fills a short row with nulls, renames a second column of a name, and
has no line for a stray quote (2.1). So the structure is checked on the bytes first. Where there is no quote,
counting is enough: as many separators as rows want, and polars refuses rows that have more. Else one regular
expression goes over the file.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from trikk.core.errors import StorageError

if TYPE_CHECKING:
    import polars as pl

SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
_PIECE = 4 << 20  # bytes that are searched in one go
_LONGEST = 64 << 20  # of a record; what is longer is a quote that nobody closes
_UTF8, _UTF16 = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")
_BLANK = re.compile(rb"\r?\n")
_SHOWN = 60


@dataclass(slots=True)
class Layout:
    """What the bytes of a CSV file say about its lines.

    Attributes:
        names: the columns, from the header.
        first: the line of the first row.
        blanks: of each blank line after the header: its place among rows and blank lines.
        is_plain: whether each row is a line, as no value is quoted.
        lines: how many lines there are after the header, if that is not so.
    """

    names: list[str]
    first: int
    blanks: list[int] = field(default_factory=list)
    is_plain: bool = True
    lines: int = 0


def read_csv(path: Path, bytes_from: Path, label: str, separator: str | None) -> tuple[pl.DataFrame, Layout]:
    """Read a file as text: null where nothing stands between two separators, "" where two quotes do.

    Args:
        path: the file; polars unpacks it if need be.
        bytes_from: the same, unpacked.
        label: what the file is called in errors.
        separator: one character; None: a comma, and a header that looks to have another is refused.

    Raises:
        StorageError: with the line, if the structure is not a header and rows of as many values.
    """
    import polars as pl

    layout = _layout(bytes_from, label, separator)
    try:
        scan = pl.scan_csv(
            path, infer_schema=False, glob=False, separator=separator or ",", new_columns=layout.names
        )
        text = scan.collect()
    except Exception as error:  # noqa: BLE001 - polars has many kinds for a damaged file
        # polars names no line: look for bytes that are no UTF-8 first, then for the line that does not fit.
        _refuse_undecodable(bytes_from, label)
        _layout(bytes_from, label, separator, look_closely=True)
        raise unreadable(label, "csv", None, (str(error).splitlines() or [""])[0]) from None
    if layout.blanks:
        places = pl.Series(layout.blanks, dtype=pl.UInt32)
        text = text.with_row_index("\0").filter(~pl.col("\0").is_in(places.implode())).drop("\0")
    return text, layout


def unreadable(label: str, kind: str, line: int | None, reason: str) -> StorageError:
    """The error of a file that is not what its format wants."""
    at = "" if line is None else f"line {line}: "
    return StorageError(
        f"{label} can't be read as {kind}: {at}{reason}",
        where=label if line is None else f"{label}:{line}",
        next="mend the file; nothing was written",
    )


def _layout(path: Path, label: str, separator: str | None, *, look_closely: bool = False) -> Layout:
    with path.open("rb") as file:
        start = file.read(3)
        if start[:2] in _UTF16:
            raise unreadable(label, "csv", 1, "it is UTF-16; save it as UTF-8")
        file.seek(3 if start == _UTF8 else 0)
        before, header = _header(file, label)
        names = _names(header, label, before + 1, separator)
        lines = header.count(b"\n")
        layout = Layout(names, before + 1 + max(lines, 1))
        rows_at = file.tell()
        if look_closely or not _is_plain(file, (separator or ",").encode(), len(names)):
            file.seek(rows_at)
            layout.is_plain = False
            _Walk(file, label, separator or ",", layout).to_the_end()
    return layout


def _header(file: BinaryIO, label: str) -> tuple[int, bytes]:
    """How many blank lines come first, and the header, which may hold quoted line ends."""
    blank, header = 0, b""
    for line in file:
        header += line
        if not header.strip(b"\r\n"):
            blank, header = blank + 1, b""
        elif header.count(b'"') % 2 == 0:
            return blank, header
    if not header:
        raise unreadable(label, "csv", None, "it is empty")
    raise unreadable(label, "csv", blank + 1, "a quoted name in the header never ends")


def _names(header: bytes, label: str, line: int, separator: str | None) -> list[str]:
    try:
        names = next(csv.reader(io.StringIO(header.decode(), newline=""), delimiter=separator or ",", strict=True))
    except UnicodeDecodeError:
        raise unreadable(label, "csv", line, "it is not UTF-8") from None
    except csv.Error as error:
        raise unreadable(label, "csv", line, f"the header is not CSV: {error}") from None
    if b'"' not in header and b"\r" in header.rstrip(b"\r\n"):
        raise unreadable(label, "csv", line, "lines end in a carriage return alone; save it with line feeds")
    likely = next((s for s in SEPARATORS if separator is None and len(names) == 1 and s in names[0]), None)
    if likely is not None:
        raise StorageError(
            f"{label} line {line}: the header has no comma but {SEPARATORS[likely]}: {names[0][:_SHOWN]!r}",
            where=f"{label}:{line}",
            next=f"say what separates values: --separator {likely!r} (separator= in a step)",
        )
    for number, name in enumerate(names, start=1):
        if not name:
            raise unreadable(
                label, "csv", line, f"column {number} has no name (an index? pandas: to_csv(index=False))"
            )
        if name in names[: number - 1]:
            raise unreadable(label, "csv", line, f"the header names {name[:_SHOWN]!r} twice")
    return names


def _is_plain(file: BinaryIO, separator: bytes, width: int) -> bool:
    """Whether no value is quoted and no line is blank or short, told by counting."""
    lines = separators = 0
    last = b"\n"
    for piece in _whole_lines(file):
        returns = piece.count(b"\r")
        if b'"' in piece or width == 1 or (returns and returns != piece.count(b"\r\n")):
            return False
        lines += piece.count(b"\n")
        separators += piece.count(separator)
        last = piece[-1:]
    return separators == (lines + (last != b"\n")) * (width - 1)


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece + file.readline()


class _Walk:
    """Goes over all rows of a file, remembers blank lines, and stops at the first that does not fit."""

    def __init__(self, file: BinaryIO, label: str, separator: str, layout: Layout) -> None:
        mark = re.escape(separator).encode()
        value = rb'(?:[^"\r\n' + mark + rb']++|"[^"]*+(?:""[^"]*+)*+"|)'
        row = value + rb"(?:" + mark + value + rb"){%d}+\r?\n" % (len(layout.names) - 1)
        self._file, self._label, self._separator, self._layout = file, label, separator, layout
        self._value = re.compile(value)
        self._row = re.compile(rb"\r?\n|" + row)
        self._rows = re.compile(rb"(?:\r?\n|" + row + rb")*+")
        self._line = layout.first

    def to_the_end(self) -> None:
        """Check every row; then, where a line may be blank, find those that are."""
        rows_at, rest, may_be_blank = self._file.tell(), b"", False
        while piece := self._file.read(_PIECE):
            data = rest + piece
            may_be_blank |= data.startswith((b"\n", b"\r\n")) or b"\n\n" in data or b"\n\r\n" in data
            rest = self._after_rows(data)
            if len(rest) > _LONGEST:
                self._refuse(rest)
        if rest and (rest := self._after_rows(rest + b"\n")):
            self._refuse(rest)
        self._layout.lines = self._line - self._layout.first
        if may_be_blank:
            self._file.seek(rows_at)
            self._layout.blanks = list(self._blanks())

    def _after_rows(self, data: bytes) -> bytes:
        """What is left of `data` after its rows."""
        match = self._rows.match(data)
        end = match.end() if match else 0
        self._line += data.count(b"\n", 0, end)
        return data[end:]

    def _blanks(self) -> Iterator[int]:
        rest, place = b"", 0
        while piece := self._file.read(_PIECE):
            data, at = rest + piece, 0
            while row := self._row.match(data, at):
                if _BLANK.fullmatch(row[0]):
                    yield place
                place, at = place + 1, row.end()
            rest = data[at:]

    def _refuse(self, data: bytes) -> NoReturn:
        """Say why no row begins where `data` does."""
        width, at, values = len(self._layout.names), 0, 0
        while value := self._value.match(data, at):
            values, at = values + 1, value.end()
            if data[at : at + 1] != self._separator.encode():
                break
            at += 1
        name = self._layout.names[min(values, width) - 1]
        if data[at : at + 1] == b'"' and data.count(b'"', at) == 1:
            raise unreadable(self._label, "csv", self._line, f"a quote in column {name!r} is never closed")
        if data[at : at + 1] == b"\r" and data[at : at + 2] != b"\r\n":
            raise unreadable(self._label, "csv", self._line, f"a carriage return in column {name!r} is not quoted")
        if data[at : at + 1] not in (b"\n", b"\r"):
            shown = data[max(at - 20, 0) : at + 20].decode(errors="replace")
            reason = (
                f"a stray quote in column {name!r}, near {shown!r}; a quote within a value is doubled, in quotes"
            )
            raise unreadable(self._label, "csv", self._line, reason)
        much = "more" if values > width else "fewer"
        raise unreadable(
            self._label, "csv", self._line, f"it has {much} fields ({values}) than the header ({width})"
        )


def _refuse_undecodable(path: Path, label: str) -> None:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                raise unreadable(label, "csv", number, "it is not UTF-8") from None
