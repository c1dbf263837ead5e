"""A request's body as columns: JSON, CSV or Arrow, within limits, read with the types that the model takes."""

from __future__ import annotations

import io
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from trikk.core.errors import SignatureError
from trikk.models.signature import Field
from trikk.serving.http.arrow_heads import claimed_rows
from trikk.web.refused import JSON_TYPE, Refused
from trikk.web.request_body import too_large

if TYPE_CHECKING:
    import polars as pl

CSV_TYPE = "text/csv"
ARROW_TYPE = "application/vnd.apache.arrow.stream"
TYPES = (JSON_TYPE, CSV_TYPE, ARROW_TYPE)
_MOST_COLUMNS = 10_000
_MOST_CELLS = 10_000_000  # or one for each byte of the body: rows that lack most columns could claim far more
_LONGEST_NAME = 1000
_SHOWN = 20  # names in an error
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_GZIP = 31  # zlib's window bits for a gzip header
_JSON_NEXT = 'send {"instances": [{"name": value, ...}, ...]} or {"columns": [...], "data": [[...], ...]}'

Columns = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Body:
    """A request as it came: headers in lower case, and bytes."""

    data: bytes
    content_type: str = JSON_TYPE
    encoding: str = ""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads bodies for one model."""

    fields: Sequence[Field]  # what is wanted of each row, in order: the model's inputs, then what is only `logged`
    everything: bool  # whether all other columns are wanted too, as for a model without a signature
    max_bytes: int  # of a body after decompression
    max_rows: int  # of a body
    logged: Sequence[Field] = ()

    def read(self, body: Body) -> Columns | pl.DataFrame:
        """The rows of a body: lists by name from JSON, else a frame.

        Raises:
            Refused: 400 if it can't be read, 413 if it is too large, 415 if it is of another kind.
            SignatureError: if a field is missing.
        """
        data = self._decompressed(body)
        kind, _, parameters = body.content_type.partition(";")
        kind = kind.strip().lower()
        if not data.strip():
            raise Refused(400, "the body is empty", next=_JSON_NEXT)
        if kind == JSON_TYPE:
            return self._json(data)
        if kind == CSV_TYPE:
            return self._csv(data, parameters)
        if kind == ARROW_TYPE:
            return self._arrow(data)
        problem = f"a body of type {kind[:60]!r} is not read" if kind else "the request has no Content-Type"
        raise Refused(415, problem, next=f"send one of: {', '.join(TYPES)}")

    def _decompressed(self, body: Body) -> bytes:
        if body.encoding in ("", "identity"):
            return body.data
        if body.encoding != "gzip":
            raise Refused(
                415, f"content encoding {body.encoding[:20]!r} is not read", next="send it plain, or gzip"
            )
        # Up to the limit and one byte: a gzip of a kilobyte may hold gigabytes.
        unzip = zlib.decompressobj(_GZIP)
        try:
            data = unzip.decompress(body.data, self.max_bytes + 1)
        except zlib.error as error:
            raise Refused(400, "the body is not gzip", next="send it plain, or whole") from error
        if len(data) > self.max_bytes:
            raise too_large(self.max_bytes)
        if not unzip.eof:
            raise Refused(400, "the body is a gzip that is cut off", next="send it whole")
        return data

    def _json(self, data: bytes) -> Columns:
        document = _document(data)
        if isinstance(document, dict) and "instances" in document:
            rows = document["instances"]
        elif isinstance(document, dict) and {"columns", "data"} <= document.keys():
            return self._split(document["columns"], document["data"], len(data))
        else:
            rows = document
        self._check_rows(rows)
        if not isinstance(rows[0], dict):
            return self._split([field.name for field in self.fields][: _width(rows)], rows, len(data))
        if not all(isinstance(row, dict) for row in rows):
            raise Refused(400, "some instances are objects and some are not", next=_JSON_NEXT)
        names = rows[0] if len(rows) == 1 else dict.fromkeys(name for row in rows for name in row)
        wanted = self.wanted(names)
        _check_shape(wanted, len(rows), len(data))
        return {name: [row.get(name) for row in rows] for name in wanted}

    def _split(self, columns: Any, rows: Any, size: int) -> Columns:
        self._check_rows(rows)
        if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
            raise Refused(400, "the names of the columns are not a list of texts", next=_JSON_NEXT)
        if len(set(columns)) != len(columns):
            raise Refused(400, "a column is named twice", next=_JSON_NEXT)
        _check_shape(columns, len(rows), size)
        for number, row in enumerate(rows):
            if not isinstance(row, list) or len(row) != len(columns):
                raise Refused(
                    400,
                    f"row {number} is not a list of {len(columns)} values",
                    next=f"columns: {_listed(columns)}",
                )
        values = dict(zip(columns, zip(*rows, strict=True), strict=True))
        return {name: list(values[name]) for name in self.wanted(values)}

    def _check_rows(self, rows: Any) -> None:
        if not isinstance(rows, list) or not rows:
            raise Refused(400, "there are no rows in the body", next=_JSON_NEXT)
        self._check_count(len(rows))

    def _check_count(self, rows: int) -> None:
        if rows > self.max_rows:
            raise Refused(
                413, f"the body has {rows:,} rows; {self.max_rows:,} are allowed", next="send it in pieces"
            )

    def _csv(self, data: bytes, parameters: str) -> pl.DataFrame:
        import polars as pl

        first = data.split(b"\n", 1)[0]
        if first.count(b",") >= _MOST_COLUMNS:
            raise Refused(400, f"the CSV has more than {_MOST_COLUMNS:,} columns")
        names = [cell.strip().strip('"') for cell in first.decode(errors="replace").strip().split(",")]
        header = self._has_header(names, parameters)
        if header and len(set(names)) != len(names):
            raise Refused(400, "the CSV names a column twice", next="name each column once")
        own = [field.name for field in self.fields]
        if not header and (self.everything or len(names) > len(own)):
            raise Refused(
                400, f"the CSV has {len(names)} columns and no header", next=f"columns in order: {_listed(own)}"
            )
        given = names if header else own[: len(names)]
        texts = {f.name: pl.String for f in self.fields if f.name in given and not _is_inferred(f.dtype)}
        wide = {f.name: pl.UInt64 for f in self.fields if f.name in given and f.dtype == "UInt64"}
        try:
            frame = pl.read_csv(
                data,
                has_header=header,
                new_columns=None if header else given,
                schema_overrides={**texts, **wide},  # inferred, what is beyond Int64 would be rounded to floats
                infer_schema_length=None,
            )
        except (Exception, pl.exceptions.PanicException) as error:
            problem = f"the body is not CSV: {str(error).splitlines()[0][:200]}"
            raise Refused(
                400, problem, next="one line a row, values separated by commas, as many in each line"
            ) from error
        rows = self._selected(frame)
        for column in rows.get_columns():
            infinite = column.dtype.is_float() and column.is_infinite().any()
            if infinite or column.dtype in (pl.Int128, pl.UInt128):
                problem, mend = f"{column.name!r} has a number that is out of range", "give a smaller number"
                raise SignatureError(problem, field=column.name, next=mend)
        return rows

    def _has_header(self, names: list[str], parameters: str) -> bool:
        """As the media type says (RFC 4180); else whether the first line names every field."""
        if (said := header_said(parameters)) is not None:
            return said
        return self.everything or {field.name for field in self.fields} <= set(names)

    def _arrow(self, data: bytes) -> pl.DataFrame:
        import polars as pl

        # Before it is read: a stream's heads may claim more rows than memory holds.
        self._check_count(claimed_rows(data))
        try:
            frame = pl.read_ipc_stream(io.BytesIO(data))
        except (Exception, pl.exceptions.PanicException) as error:
            raise Refused(
                400, "the body is not an Arrow IPC stream", next="write it with write_ipc_stream (polars)"
            ) from error
        return self._selected(frame)

    def _selected(self, frame: pl.DataFrame) -> pl.DataFrame:
        if not frame.height:
            raise Refused(400, "there are no rows in the body", next="send at least one")
        self._check_count(frame.height)
        return frame.select(self.wanted(dict.fromkeys(frame.columns)))

    def wanted(self, names: Mapping[str, object]) -> list[str]:
        """The columns to take of those that are there, in a fixed order; SignatureError if a field is missing."""
        if len(names) > _MOST_COLUMNS:
            raise Refused(400, f"the body has more than {_MOST_COLUMNS:,} columns", next="send fewer")
        for field in self.fields:
            if field.name not in names:
                what = "logged field" if field in self.logged else "input"
                raise SignatureError(
                    f"{what} {field.name!r} ({field.dtype}) is missing",
                    field=field.name,
                    next=f"give: {_listed([f.name for f in self.fields])}; there are: {_listed(list(names))}",
                )
        if not names:
            raise Refused(400, "the rows have no columns", next=_JSON_NEXT)
        own = [field.name for field in self.fields]
        return [*own, *sorted(set(names) - set(own))] if self.everything else own


def _document(data: bytes) -> Any:
    """A JSON document: in Unicode, without a name twice in an object, and without NaN."""
    try:
        text = data.decode(json.detect_encoding(data))
        document = json.loads(text, parse_constant=_no_number, object_pairs_hook=_named_once)
        # An escape may be half of a pair, which no table and no UTF-8 holds; only such texts are looked at again.
        if _SURROGATE.search(text):
            json.dumps(document, ensure_ascii=False).encode()
    except RecursionError as error:
        raise Refused(400, "the JSON nests too deeply", next=_JSON_NEXT) from error
    except UnicodeError as error:
        problem = "the body is not text: it has half of a surrogate pair, or is not UTF-8"
        raise Refused(400, problem, next="send Unicode, encoded as UTF-8") from error
    except ValueError as error:
        raise Refused(400, f"the body is not JSON: {str(error)[:200]}", next=_JSON_NEXT) from error
    return document


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object has a name twice")
    return members


def _check_shape(columns: Sequence[str], rows: int, size: int) -> None:
    """Refuse a body that claims far more than it holds, before there are lists of it."""
    if len(columns) * rows > max(_MOST_CELLS, size):
        raise Refused(413, f"{rows:,} rows of {len(columns):,} columns are too many", next="send it in pieces")
    if any(len(name) > _LONGEST_NAME for name in columns):
        raise Refused(400, f"a column's name has more than {_LONGEST_NAME:,} characters", next="shorten it")


def header_said(parameters: str) -> bool | None:
    """Whether a media type's parameters say that a CSV has a header (RFC 4180); None if they do not say."""
    said = parameters.replace(" ", "").replace('"', "").lower().split(";")
    return "header=present" in said if {"header=present", "header=absent"} & {*said} else None


def _is_inferred(dtype: str) -> bool:
    """Whether a CSV's values of that type are told by their looks: numbers and truth values."""
    return dtype not in ("String", "Categorical", "Date") and not dtype.startswith("Datetime")


def _width(rows: list[Any]) -> int:
    return len(rows[0]) if isinstance(rows[0], list) else 0


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(str(name)[:60] for name in names[:_SHOWN])
    return (shown + ", ..." if len(names) > _SHOWN else shown) or "none"


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")
