"""Rows as messages: checked in full before anything is sent, then encoded a column at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trikk.core.digests import digest_bytes, digest_json, digest_parts
from trikk.core.errors import PermanentError, UsageError
from trikk.core.values import JSON, canonical
from trikk.publishing import as_avro, as_json
from trikk.publishing.broker_messages import Messages

if TYPE_CHECKING:
    import polars as pl

FORMATS = ("json", "avro")
MEDIA = {"json": "application/json", "avro": "avro/binary"}
_ROWS = 50_000  # that one digest is of; another number would give other digests
_AT_ONCE = 5_000
_SCHEMA_SHOWN = 16


def encode(
    rows: pl.DataFrame,
    publication: str,
    *,
    key: str | Sequence[str] | None,
    form: str,
    headers: Mapping[str, str],
    model: tuple[str, int | None] | None,
) -> Messages:
    """Encode every row.

    Args:
        rows: one message each, in this order; NaN and infinities are refused, null is published as null.
        publication: what the messages' ids begin with.
        key: the column that is the message's key, as text; several give a JSON object; None for no key.
        form: "json" or "avro".
        headers: what all messages carry.
        model: name and version for the headers; if None, columns `model` and `model_version` give them, where
            there are such.

    Raises:
        UsageError: if the frame has no columns, or not those of the key.
        PermanentError: if a row can't be encoded: it names row and column. Nothing was sent then.
        MissingExtra: if Avro is asked for and fastavro is not installed.
    """
    import polars as pl

    columns = [] if key is None else [key] if isinstance(key, str) else list(key)
    _check_columns(rows, columns)
    for name in rows.columns:
        _check_finite(rows.get_column(name), name)
    module = as_avro if form == "avro" else as_json
    schema = module.schema_of(rows, columns)
    values = module.values_of(rows, schema)
    kinds, kind_of = _kinds(rows, headers, model, form, digest_json(schema))
    keys = _keys(rows, columns)
    binary = values.dtype == pl.Binary
    return Messages(
        publication=publication,
        keys=keys,
        values=values,
        kinds=kinds,
        kind_of=kind_of,
        digest=digest_json([MEDIA[form], *_digests(values, keys, binary=binary)]),
        size=int((values.bin.size() if binary else values.str.len_bytes()).sum()),
        schema=schema,
        content_type=MEDIA[form],
    )


def _check_columns(rows: pl.DataFrame, key: list[str]) -> None:
    if not rows.columns:
        raise UsageError(
            "there is nothing to publish: the frame has no columns", next="publish a frame with columns"
        )
    for name in key:
        if name not in rows.columns:
            raise UsageError(
                f"the key {name!r} is not a column of the frame", next=f"it has: {', '.join(rows.columns)}"[:400]
            )
        nulls = rows.get_column(name).is_null()
        if nulls.any():
            raise refused(
                int(nulls.arg_max() or 0), name, "it has no key", "give every row a key, or publish without"
            )


def refused(row: int, column: str, problem: str, mend: str) -> PermanentError:
    """The error for a row that can't be published."""
    return PermanentError(
        f"row {row}, column {column!r} can't be published: {problem}", next=f"{mend}; nothing was sent"
    )


def _check_finite(series: pl.Series, name: str) -> None:
    import polars as pl

    for row, value in _not_finite(series, pl.int_range(series.len(), eager=True)):
        mend = f"drop such rows, or make them null: with_columns(pl.col({name!r}).fill_nan(None))"
        raise refused(row, name, f"it is {'NaN' if value != value else 'infinite'}", mend)  # noqa: PLR0124


def _not_finite(series: pl.Series, rows: pl.Series) -> Iterator[tuple[int, float]]:
    """Row and value of a first value that is not finite, however deep in lists and structs."""
    import polars as pl

    kind = series.dtype
    if kind.is_float():
        bad = (~series.is_finite()).fill_null(value=False)
        if bad.any():
            first = bad.arg_max() or 0
            yield int(rows[first]), float(series[first])
    elif isinstance(kind, pl.Struct):
        for field in kind.fields:
            yield from _not_finite(series.struct.field(field.name), rows)
    elif isinstance(kind, pl.Array | pl.List):
        inside = series.arr.to_list() if isinstance(kind, pl.Array) else series
        flat = pl.DataFrame([rows.alias("row"), inside.alias("value")]).explode("value")
        yield from _not_finite(flat.get_column("value"), flat.get_column("row"))


def _keys(rows: pl.DataFrame, columns: list[str]) -> pl.Series | None:
    import polars as pl

    if not columns:
        return None
    texts = as_json.as_texts(rows.select(columns))
    if len(columns) == 1:
        return texts.to_series().cast(pl.String)
    return texts.select(pl.struct(pl.all()).struct.json_encode()).to_series()


def _kinds(
    rows: pl.DataFrame,
    headers: Mapping[str, str],
    model: tuple[str, int | None] | None,
    form: str,
    schema: str,
) -> tuple[tuple[tuple[tuple[str, str], ...], ...], pl.Series | None]:
    import polars as pl

    base = {"content-type": MEDIA[form], **headers, "trikk-schema": schema[:_SCHEMA_SHOWN]}
    names = [name for name in ("model", "model_version") if name in rows.columns]
    if model is not None or "model" not in names or rows.is_empty():
        return (_headers(base, *(model or (None, None))),), None
    models = rows.select(pl.col(names).cast(pl.String, strict=False))
    distinct = models.unique(maintain_order=True).with_row_index("kind")
    kinds = tuple(_headers(base, *(*row[1:], None)[:2]) for row in distinct.iter_rows())
    if len(kinds) == 1:
        return kinds, None
    joined = models.join(distinct, on=names, how="left", nulls_equal=True, maintain_order="left")
    return kinds, joined.get_column("kind")


def _headers(base: dict[str, str], name: Any, version: Any) -> tuple[tuple[str, str], ...]:
    more = {"trikk-model": name, "trikk-model-version": version}
    return tuple({**base, **{k: str(v) for k, v in more.items() if v is not None}}.items())


def _digests(values: pl.Series, keys: pl.Series | None, *, binary: bool) -> Iterator[JSON]:
    for start in range(0, values.len(), _ROWS):
        part = values.slice(start, _ROWS)
        if binary:
            yield digest_bytes(b"".join(part.to_list()))
            yield digest_json(part.bin.size().to_list())
        else:
            yield digest_parts(_joined(part))
        if keys is not None:
            yield digest_parts(_as_list(keys.slice(start, _ROWS)))


def _joined(texts: pl.Series) -> Iterator[bytes]:
    """Texts with a newline between two, some at a time: a piece that stays in the cache costs a fifth."""
    import polars as pl

    for start in range(0, texts.len(), _AT_ONCE):
        yield b"\n" if start else b""
        yield texts.slice(start, _AT_ONCE).str.join("\n").cast(pl.Binary).item()


def _as_list(texts: pl.Series) -> Iterator[bytes]:
    """The canonical JSON of a list of texts, some at a time."""
    yield b"["
    for start in range(0, texts.len(), _AT_ONCE):
        yield b"," if start else b""
        yield canonical(texts.slice(start, _AT_ONCE).to_list())[1:-1]
    yield b"]"
