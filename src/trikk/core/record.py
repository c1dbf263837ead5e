"""Records: values that are their fields, and the one way in which such a value becomes JSON and a value again.

Everything that is written down (events, ledger entries, locks, graphs, messages between processes) is a record.
msgspec reads and writes it from the annotations alone, in C, so that a new field is named once.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from typing import Any, Self

import msgspec

from trikk.core.errors import RecordError, UsageError
from trikk.core.values import JSON, exact


class Record(msgspec.Struct, frozen=True):
    """A frozen value whose JSON is its fields by name, in their order.

    A subclass chooses by class options what its JSON looks like (they are inherited):

    - `omit_defaults=True` leaves out fields that have their default; a field that was never written reads as it,
      so a field that is added later needs a default, and older records read on.
    - a single field that is left out when it is unknown, beside others that are always written, is
      `name: T | msgspec.UnsetType = msgspec.UNSET`.
    - `rename={"field": "key"}` where the key is not a good name; `kw_only=True`; `tag=...` for unions.

    Enums are written as their values, tuples as lists; a field that holds any JSON is annotated `Any`. Keys of no
    field are ignored: a newer build may have written them. `msgspec.structs.replace` gives a changed copy;
    `__post_init__` may check, and sets by `msgspec.structs.force_setattr` what it derives.
    """

    def to_json(self) -> dict[str, JSON]:
        """The record as JSON: plain dicts, lists, texts and numbers."""
        return _with_lists(msgspec.to_builtins(self, enc_hook=_plain))  # type: ignore[no-any-return]

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """The record that `to_json` wrote.

        Raises:
            RecordError: if the JSON does not fit the fields; the place in it is named.
        """
        try:
            return msgspec.convert(data, cls)
        except msgspec.ValidationError as error:
            raise RecordError(f"{cls.__name__} can't be read from its record: {error}") from error

    def to_bytes(self) -> bytes:
        """The record as JSON text, for a pipe or a socket; what is digested is written by `values.canonical`."""
        try:
            data = msgspec.json.encode(self, enc_hook=_plain)
        except UnicodeEncodeError:
            # A lone surrogate, as in the name of a file that is not UTF-8: msgspec writes UTF-8, json escapes it.
            return json.dumps(self.to_json()).encode()
        # msgspec writes NaN and infinities as null, and `read` would take that for "not known"; json keeps them.
        return json.dumps(self.to_json()).encode() if b"null" in data and not _is_finite(self) else data

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The record that `to_bytes` wrote.

        Raises:
            RecordError: if it is not one.
        """
        record: Self = read_bytes(data, cls)
        return record


def read_bytes(data: bytes, kind: Any) -> Any:
    """The record of a class, or of one of the tagged classes of a union, that `to_bytes` wrote.

    Raises:
        RecordError: if it is not one.
    """
    try:
        return _decoder(kind).decode(data)
    except (msgspec.DecodeError, RecursionError):
        try:
            return msgspec.convert(json.loads(data), kind)  # reads lone surrogates, which msgspec does not
        except (ValueError, RecursionError) as error:
            raise RecordError(f"this is not a {getattr(kind, '__name__', kind)}: {error}") from error


def get_ready_to_read(*kinds: Any) -> None:
    """Make once, before many forks, what each of them would make when it first reads a record of these kinds."""
    for kind in kinds:
        _decoder(kind)


@functools.cache
def _decoder(kind: Any) -> Any:
    """Made once: msgspec takes a union apart for each decoder, a hundred times as long as it decodes a message."""
    return msgspec.json.Decoder(kind)


def _plain(value: object) -> float | str:
    """A number or text of a library's class, such as numpy.float64 or a `str` of its own, which msgspec refuses.

    Raises:
        UsageError: if it is something else.
    """
    if isinstance(value, float | int | str):
        return exact(value)
    raise UsageError(
        f"{value!r} is not a plain value, so it can't be written down",
        next="use None, bool, int, float, str, or lists and dicts of these",
    )


def _is_finite(value: Any) -> bool:
    """Whether no number in a record is NaN or infinite."""
    if isinstance(value, Record):
        return all(_is_finite(getattr(value, name)) for name in value.__struct_fields__)
    if isinstance(value, dict | list | tuple):
        return all(map(_is_finite, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) or math.isfinite(value)


def _with_lists(value: Any) -> Any:
    """The value with its tuples as lists, so that JSON that was never written equals JSON that was read back."""
    if isinstance(value, dict):
        return {key: _with_lists(inner) for key, inner in value.items()}
    return [_with_lists(inner) for inner in value] if isinstance(value, list | tuple) else value
