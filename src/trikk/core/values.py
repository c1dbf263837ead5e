"""Plain values as JSON and back, without loss: what parameters, constants and events are made of.

JSON knows no dates, tuples or enums; they are written as `{"$": kind, "v": ...}`. Everything that is
written here is read back equal, or refused when it is written.
"""

from __future__ import annotations

import enum
import json
import math
import sys
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from trikk.core.errors import UsageError

if TYPE_CHECKING:
    JSON: TypeAlias = "None | bool | int | float | str | list[JSON] | dict[str, JSON]"
else:
    JSON = Any  # msgspec knows no recursive alias: to it, a record's field of this type may hold anything
_TAG = "$"
_EXACT = (str, int, float, bool)
_SAME = {str, int, bool, type(None)}
"""The types whose values JSON writes as they are; a float may be one that it does not know."""


def canonical(value: JSON) -> bytes:
    """JSON as bytes with sorted keys and no blanks: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=True).encode(
        errors="surrogatepass"
    )


def encode(value: object) -> JSON:
    """Return a plain value as JSON.

    Plain are None, bool, int, float, str, date, datetime, timedelta, members of an Enum, and lists,
    tuples and str-keyed dicts of these.

    Raises:
        UsageError: if the value, or one inside it, is something else.
    """
    if isinstance(value, enum.Enum):
        cls = type(value)
        parts = [cls.__module__, cls.__qualname__, value.name]
        if _member(*parts) is not value:
            raise UsageError(
                f"{value!r} can't be found by its name",
                next="use a single member of an Enum that is defined at the top level of a module",
            )
        return {_TAG: "enum", "v": [*parts]}
    if value is None:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return {_TAG: "float", "v": repr(exact(value))}
    if isinstance(value, bool | int | float | str):
        return exact(value)
    if isinstance(value, datetime):
        return {_TAG: "datetime", "v": value.isoformat()}
    if isinstance(value, date):
        return {_TAG: "date", "v": value.isoformat()}
    if isinstance(value, timedelta):
        return {_TAG: "timedelta", "v": [value.days, value.seconds, value.microseconds]}
    if isinstance(value, list):
        # Thousands of counts are common, and nothing in them has to be looked at one by one.
        return [*value] if {*map(type, value)} <= _SAME else [encode(item) for item in value]
    if isinstance(value, tuple):
        return {_TAG: "tuple", "v": [encode(item) for item in value]}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        plain: dict[str, JSON] = {key: encode(item) for key, item in value.items()}
        return {_TAG: "dict", "v": plain} if _TAG in plain else plain
    raise UsageError(
        f"{type(value).__name__} is not a plain value",
        next="use None, bool, int, float, str, date, datetime, timedelta, an Enum, or lists and dicts of these",
    )


def decode(value: JSON) -> Any:
    """Return the plain value that `encode` wrote.

    Raises:
        UsageError: if a tag is unknown or an enum's class is not loaded.
    """
    if isinstance(value, list):
        return [decode(item) for item in value] if {list, dict} & {*map(type, value)} else [*value]
    if not isinstance(value, dict):
        return value
    if _TAG not in value:
        return {key: decode(item) for key, item in value.items()}
    reader = _READERS.get(str(value[_TAG]))
    if reader is None:
        raise UsageError(f"a stored value has the unknown kind {value[_TAG]!r}", next="update trikk")
    return reader(value["v"])


def exact(value: float | str) -> float | str:
    """A number or text of a class of its own (numpy's float64 is a float) as the number or text alone.

    json writes such values like that; msgspec refuses them.
    """
    if type(value) in _EXACT:
        return value
    if isinstance(value, str):
        return str.__str__(value)  # not str(value): the class may show itself in another way
    return int.__int__(value) if isinstance(value, int) else float.__float__(value)


def plain(value: JSON, number: Callable[[str], Any] = str) -> Any:
    """What `encode` wrote as people and other programs write it: dates, enums and durations as texts.

    Args:
        value: what `encode` wrote.
        number: what becomes of a number that JSON does not know, such as "nan": a text, or with `float` itself.
    """
    if isinstance(value, list):
        return [plain(item, number) for item in value]
    if not isinstance(value, dict):
        return value
    if _TAG not in value:
        return {key: plain(item, number) for key, item in value.items()}
    kind, inside = value[_TAG], cast("Any", value["v"])
    if kind == "enum":
        return str(inside[2])
    if kind == "float":
        return number(inside)
    if kind == "timedelta":
        return str(timedelta(*inside))
    if kind == "dict":
        return {key: plain(item, number) for key, item in inside.items()}
    return [plain(item, number) for item in inside] if kind == "tuple" else str(inside)


def finite(value: Any) -> Any:
    """JSON without the numbers that JSON does not know (NaN, infinities), which become None."""
    if isinstance(value, float):
        # Python would write NaN, which no other program reads.
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list | tuple) else value


def _enum(parts: Any) -> enum.Enum:
    found = _member(*parts)
    if found is None:
        raise UsageError(f"{'.'.join(map(str, parts))} is not an enum member of the loaded project")
    return found


def _member(module: str, qualname: str, name: str | None) -> enum.Enum | None:
    found: Any = sys.modules.get(module)
    for part in str(qualname).split("."):
        found = getattr(found, part, None)
    if not (isinstance(found, type) and issubclass(found, enum.Enum)):
        return None
    return found.__members__.get(str(name))


_READERS: dict[str, Any] = {
    "enum": _enum,
    "float": float,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "timedelta": lambda v: timedelta(*v),
    "tuple": lambda v: tuple(decode(item) for item in v),
    "dict": lambda v: {key: decode(item) for key, item in v.items()},
}
