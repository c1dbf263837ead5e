"""Plain values as JSON, and bytes as they are."""

from __future__ import annotations

import enum
import json
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from trikk.core.errors import CodecError
from trikk.core.values import JSON, decode, encode

INLINE = 4096
_SCALARS = {type(None), bool, float, str, date, timedelta}
_BITS = 10_000  # Python itself refuses to print much longer integers


class JsonCodec:
    """None, bool, int, float, str, date, datetime, timedelta, Enum members, and lists, tuples and dicts of these.

    Types are matched exactly, since a subclass would not come back as itself; NamedTuples come back as
    tuples, and the float and str of NumPy, which are Python's own with a longer name, as float and str.
    """

    name = "json"
    suffix = ".json"

    def accepts(self, value: object) -> bool:
        """Whether the value is plain all the way down."""
        try:
            return _plain(value)
        except RecursionError:
            return False

    def dump(self, value: Any, path: Path) -> dict[str, JSON]:
        """Write the value as JSON; see `write`."""
        return self.write(encode(value), path)

    def write(self, encoded: JSON, path: Path) -> dict[str, JSON]:
        """Write what `trikk.core.values.encode` gave, dicts in their own order, floats exactly.

        Returns:
            The summary: `type`, for what has one `length`, and, if it is short, `value`.
        """
        text = json.dumps(encoded, separators=(",", ":"), ensure_ascii=False).encode(errors="surrogatepass")
        path.write_bytes(text)
        summary = describe(encoded)
        if len(text) <= INLINE:
            summary["value"] = json.loads(text)
        return summary

    def load(self, path: Path, want: object, summary: dict[str, JSON]) -> Any:  # noqa: ARG002
        """The value."""
        return decode(self.read(path))

    def read(self, path: Path) -> JSON:
        """The value in the form of `trikk.core.values.encode`."""
        encoded: JSON = json.loads(path.read_bytes())
        return encoded

    def head(self, path: Path, rows: int) -> JSON | None:
        """The value, of a list or dict only the first items."""
        encoded = self.read(path)
        inner = inside(encoded)
        if isinstance(inner, list):
            return inner[:rows]
        if isinstance(inner, dict):
            return dict(list(inner.items())[:rows])
        return encoded


class BytesCodec:
    """`bytes`, stored as they are."""

    name = "bytes"
    suffix = ".bin"

    def accepts(self, value: object) -> bool:
        """Whether it is a bytes object."""
        return type(value) is bytes

    def dump(self, value: Any, path: Path) -> dict[str, JSON]:
        """Write the bytes."""
        path.write_bytes(value)
        return {"type": "bytes", "length": len(value)}

    def load(self, path: Path, want: object, summary: dict[str, JSON]) -> Any:  # noqa: ARG002
        """The bytes."""
        return path.read_bytes()

    def head(self, path: Path, rows: int) -> JSON | None:  # noqa: ARG002
        """The first 32 bytes in hexadecimal."""
        with path.open("rb") as file:
            return file.read(32).hex(" ")


def describe(encoded: JSON) -> dict[str, JSON]:
    """The `type` and, for lists, tuples and dicts, the `length` of a value that `encode` wrote."""
    inner = inside(encoded)
    if isinstance(inner, list):
        return {"type": "list" if isinstance(encoded, list) else "tuple", "length": len(inner)}
    if isinstance(inner, dict):
        return {"type": "dict", "length": len(inner)}
    if isinstance(encoded, dict):
        if encoded["$"] == "enum" and isinstance(encoded["v"], list):
            return {"type": str(encoded["v"][1])}
        return {"type": str(encoded["$"])}
    return {"type": next((kind.__name__ for kind in (bool, int, float, str) if isinstance(encoded, kind)), "None")}


def inside(encoded: JSON) -> JSON:
    """The items of an encoded list, tuple or dict, as a list or dict; None for anything else."""
    if isinstance(encoded, list):
        return encoded
    if not isinstance(encoded, dict):
        return None
    if "$" not in encoded:
        return encoded
    return encoded["v"] if encoded["$"] in ("tuple", "dict") else None


def item(encoded: JSON, key: int | str) -> JSON:
    """One item of an encoded list or tuple (by position) or dict (by key), encoded.

    Raises:
        CodecError: if there is no such item.
    """
    inner = inside(encoded)
    if isinstance(inner, list) and isinstance(key, int) and 0 <= key < len(inner):
        return inner[key]
    if isinstance(inner, dict) and isinstance(key, str) and key in inner:
        return inner[key]
    raise CodecError(
        f"a stored {describe(encoded)['type']} has no item {key!r}", next="look at what the step returned"
    )


def _plain(value: object) -> bool:
    cls = type(value)
    if cls in _SCALARS:
        return True
    if cls is int:
        return value.bit_length() < _BITS  # type: ignore[attr-defined, no-any-return]
    if cls is datetime:  # other kinds of time zone would come back as a fixed offset
        return value.fold == 0 and type(value.tzinfo) in (type(None), timezone)  # type: ignore[attr-defined]
    if cls is list:
        return all(map(_plain, value))  # type: ignore[call-overload]
    if cls is dict:
        return all(type(key) is str and _plain(inner) for key, inner in value.items())  # type: ignore[attr-defined]
    if isinstance(value, tuple):
        return is_tuple(value) and all(map(_plain, value))
    if isinstance(value, enum.Enum):
        return "<locals>" not in cls.__qualname__
    return cls.__module__ == "numpy" and isinstance(value, float | str)


def is_tuple(value: object) -> bool:
    """Whether it is a tuple or a NamedTuple (which comes back as a tuple)."""
    return type(value) is tuple or (isinstance(value, tuple) and hasattr(value, "_fields"))
