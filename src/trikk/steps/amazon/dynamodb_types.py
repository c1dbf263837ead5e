"""DynamoDB's attributes as columns: nothing is rounded, and nothing is guessed from some of the values only."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from trikk.core.errors import StorageError
from trikk.storage.ingest.text_types import misfits, typed

if TYPE_CHECKING:
    import polars as pl

Attribute = dict[str, Any]
_INTEGER = re.compile(r"-?\d+")
_NESTED = {"M", "L"}
_INT64 = 2**63


def column(name: str, values: Sequence[Attribute | None], wanted: pl.DataType | None) -> pl.Series:
    """One attribute of all items as a column; an item without it, or with NULL, has null.

    S becomes String, B Binary, BOOL Boolean. N becomes Int64 if all are whole numbers of 64 bits, Float64 if each
    number is exactly what a Float64 prints, else String with the digits as they are. Sets become sorted lists of
    the same. Maps and lists become JSON texts. `wanted` overrides, and "String" takes anything.

    Raises:
        StorageError: if the values are of several kinds, or one is not of the type that is wanted.
    """
    import polars as pl

    given = [None if value is None or "NULL" in value else next(iter(value.items())) for value in values]
    kinds = {pair[0] for pair in given if pair is not None}
    if wanted is not None:
        return _as_wanted(name, given, kinds, wanted)
    if kinds <= _NESTED and kinds:
        return pl.Series(name, [None if p is None else as_json(dict([p])) for p in given], dtype=pl.String)
    # Taking one of them would lose the others' values, or what they are.
    if len(kinds) > 1:
        raise StorageError(
            f"attribute {name!r} is {' and '.join(sorted(kinds))} in different items",
            where=name,
            next=f'take it as text: types={{"{name}": "String"}}',
        )
    kind = kinds.pop() if kinds else "S"
    raw = [None if pair is None else pair[1] for pair in given]
    if kind in ("S", "B", "BOOL"):
        plain = {"S": pl.String(), "B": pl.Binary(), "BOOL": pl.Boolean()}
        return pl.Series(name, raw, dtype=plain[kind])
    if kind == "N":
        make, dtype = _numbers([text for text in raw if text is not None])
        return pl.Series(name, [None if text is None else make(text) for text in raw], dtype=dtype)
    return _sets(name, kind, raw)


def as_json(attribute: Attribute) -> str:
    """A nested attribute as JSON: keys sorted, sets as sorted lists, bytes as base64.

    A number that no Float64 is exactly is a text with its digits.
    """
    return json.dumps(_plain(attribute), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _plain(attribute: Attribute) -> Any:
    ((kind, value),) = attribute.items()
    if kind == "NULL":
        return None
    if kind == "M":
        return {key: _plain(inner) for key, inner in value.items()}
    if kind == "L":
        return [_plain(inner) for inner in value]
    if kind in ("SS", "NS", "BS"):
        ordered = sorted(value, key=Decimal) if kind == "NS" else sorted(value)
        return [_plain({kind[0]: inner}) for inner in ordered]
    if kind == "N":
        return int(value) if _INTEGER.fullmatch(value) else float(value) if _is_exact(value) else value
    return base64.b64encode(value).decode() if kind == "B" else value


def _numbers(texts: Sequence[str]) -> tuple[Any, pl.DataType]:
    import polars as pl

    if all(_INTEGER.fullmatch(text) and -_INT64 <= int(text) < _INT64 for text in texts):
        return int, pl.Int64()
    if all(map(_is_exact, texts)):
        return float, pl.Float64()
    return str, pl.String()


def _is_exact(text: str) -> bool:
    """Whether the shortest text of the nearest Float64 is this number, so that no digit is lost."""
    number = float(text)
    return abs(number) != float("inf") and Decimal(repr(number)) == Decimal(text)


def _sets(name: str, kind: str, raw: Sequence[Any]) -> pl.Series:
    import polars as pl

    if kind == "NS":
        make, dtype = _numbers([text for one in raw if one is not None for text in one])
        lists = [None if one is None else [make(text) for text in sorted(one, key=Decimal)] for one in raw]
        return pl.Series(name, lists, dtype=pl.List(dtype))
    inner = pl.String() if kind == "SS" else pl.Binary()
    return pl.Series(name, [None if one is None else sorted(one) for one in raw], dtype=pl.List(inner))


def _as_wanted(name: str, given: Sequence[tuple[str, Any] | None], kinds: set[str], wanted: Any) -> pl.Series:
    import polars as pl

    texts = pl.Series(name, [None if pair is None else _text(*pair) for pair in given], dtype=pl.String)
    if kinds <= {"N"} and wanted.is_float():
        return texts.cast(wanted)
    values = typed(texts, wanted)
    bad = misfits(texts, values)
    if len(bad):
        shown = str(texts[int(bad[0])])[:60]
        raise StorageError(
            f"attribute {name!r}: {shown!r} is not {wanted}",
            where=name,
            next=f'name another type: types={{"{name}": "String"}}',
        )
    return values


def _text(kind: str, value: Any) -> str:
    if kind in ("S", "N"):
        return str(value)
    return as_json({kind: value}) if kind != "B" else base64.b64encode(value).decode()
