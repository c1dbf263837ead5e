"""The types a pipeline's parameter may have, as JSON-able values that need none of the author's code.

A `Kind` reads a parameter from a command line's text or from JSON, and writes it as JSON that people can
read (a date as "2020-03-26", an enum's member by its name). A driver, a server or a compiler therefore
checks parameters without importing the project; only `from_json` in a worker makes the real objects.
"""

from __future__ import annotations

import enum
import importlib
import json
import math
import re
import types
import typing
from datetime import date, datetime
from typing import Any

from trikk.core.errors import ParameterError, RecordError
from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.pipeline.parameters.trigger_event import Event

_SCALARS: dict[type, str] = {
    bool: "bool",
    int: "int",
    float: "float",
    str: "str",
    datetime: "datetime",
    date: "date",
    Event: "event",
}
_EXAMPLES = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "date": "a date such as 2020-03-26",
    "datetime": "a time such as 2020-03-26T04:00:00",
    "event": """an event such as '{"id": "1", "kind": "hand", "at": "2020-03-26T04:00:00Z"}'""",
}
_SURROGATE = re.compile("[\ud800-\udfff]")


class Kind(Record, frozen=True, omit_defaults=True, rename={"enum_class": "enum"}):
    """One type of parameter."""

    name: str  # bool, int, float, str, date, datetime, event, enum, literal, list or optional
    of: Kind | None = None  # the inner kind of a list or an optional
    choices: tuple[Any, ...] = ()  # a literal's values, or an enum's member names
    enum_class: str | None = None  # `module:qualname` of an enum

    def __str__(self) -> str:
        if self.name == "list":
            return f"list of {self.of}"
        if self.name == "optional":
            return f"{self.of} or none"
        if self.choices:
            return "one of " + ", ".join(str(c) for c in self.choices)
        return self.name

    @property
    def is_event(self) -> bool:
        """Whether it takes what a trigger's run is for."""
        return self.name == "event" or (self.name == "optional" and self.of is not None and self.of.is_event)

    def expected(self) -> str:
        """What a good value looks like, for an error."""
        if self.name == "list" and self.of:
            example = "[1,2]" if self.of.name in ("int", "float") else "a,b"
            return f"a list such as {example}, each {self.of.expected()}"
        return _EXAMPLES.get(self.name, str(self))

    def from_text(self, text: str) -> JSON:
        """Read a value as written on a command line; lists as `a,b` or as JSON.

        Raises:
            ParameterError: if the text does not fit.
        """
        if self.name == "optional" and self.of:
            # An empty text, too: `-p x=` is what a shell makes of an empty variable.
            return None if text.lower() in ("", "none", "null") else self.of.from_text(text)
        if self.name == "list" and self.of:
            # Texts that hold commas can only be given as JSON.
            if text.lstrip().startswith("["):
                try:
                    return self.check(json.loads(text))
                except (ValueError, RecursionError) as error:
                    raise self._refuse(text) from error
            return [self.of.from_text(part.strip()) for part in text.split(",")] if text else []
        if self.name == "bool" and text.lower() in ("true", "false", "yes", "no", "1", "0"):
            return text.lower() in ("true", "yes", "1")
        if self.name in ("int", "float"):
            try:
                return self.check(int(text) if self.name == "int" else float(text))
            except ValueError as error:
                raise self._refuse(text) from error
        if self.name == "literal":
            for choice in self.choices:
                if text == str(choice) or (isinstance(choice, bool) and text.lower() == str(choice).lower()):
                    return choice  # type: ignore[no-any-return]
        return self.check(text)

    def to_text(self, value: JSON) -> str:
        """A value of this kind as `from_text` reads it; "" for none."""
        if value is None:
            return ""
        if self.name == "optional" and self.of:
            return self.of.to_text(value)
        if self.name == "list" and self.of and isinstance(value, list):
            texts = [self.of.to_text(item) for item in value]
            is_odd = any("," in text or text != text.strip() or text == "" for text in texts)
            if not texts or is_odd or texts[0].startswith("[") or self.of.name == "optional":
                return json.dumps(value)
            return ",".join(texts)
        return value if isinstance(value, str) else json.dumps(value)

    def check(self, value: object) -> JSON:
        """Return a value (a real one, or one from JSON) as this kind's JSON.

        Raises:
            ParameterError: if it does not fit.
        """
        if self.name == "optional" and self.of:
            return None if value is None else self.of.check(value)
        if self.name == "list" and self.of:
            if not isinstance(value, list | tuple):
                raise self._refuse(value)
            return [self.of.check(item) for item in value]
        checked: JSON = _CHECKS[self.name](self, value)
        if checked is None:
            raise self._refuse(value)
        return checked

    def from_json(self, value: JSON) -> Any:
        """The real object for a value that `check` gave: a date, an enum's member ...

        Raises:
            ParameterError: if an enum's class or member is gone.
        """
        if value is None:
            return None
        if self.of and self.name == "optional":
            return self.of.from_json(value)
        if self.of and isinstance(value, list):
            return [self.of.from_json(item) for item in value]
        if self.name == "date":
            return date.fromisoformat(str(value))
        if self.name == "datetime":
            return datetime.fromisoformat(str(value))
        if self.name == "float":
            return float(typing.cast("float", value))
        if self.name == "event":
            return Event.read(typing.cast("dict[str, Any]", value))
        return self._member(str(value)) if self.name == "enum" else value

    def _member(self, name: str) -> enum.Enum:
        module, _, qualname = str(self.enum_class).partition(":")
        owner: Any = importlib.import_module(module)
        for part in qualname.split("."):
            owner = getattr(owner, part, None)
        if not (isinstance(owner, type) and issubclass(owner, enum.Enum)) or name not in owner.__members__:
            raise ParameterError(f"{self.enum_class} has no member {name!r}")
        return owner[name]

    def _refuse(self, value: object) -> ParameterError:
        return ParameterError(f"{value!r} does not fit", next=f"give {self.expected()}")


def _iso(kind: type[date], value: object) -> JSON:
    if type(value) is kind or (isinstance(value, datetime) and kind is datetime):  # a datetime is a date, too
        return value.isoformat()
    try:
        return kind.fromisoformat(value).isoformat() if isinstance(value, str) else None
    except ValueError:
        return None


def _event(_: Kind, value: object) -> JSON:
    try:
        if isinstance(value, Event):
            return value.to_json()
        given = json.loads(value) if isinstance(value, str) else value
        return Event.read(given).to_json() if isinstance(given, dict) else None
    except (RecordError, ValueError, RecursionError):
        return None


def _float(_: Kind, value: object) -> JSON:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        # A whole number may be too large for a float; NaN and infinities are not JSON.
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _str(_: Kind, value: object) -> JSON:
    # No NUL, no lone surrogate: PostgreSQL and UTF-8 can't hold them, and the journal may be either.
    return value if isinstance(value, str) and "\0" not in value and not _SURROGATE.search(value) else None


def _enum(kind: Kind, value: object) -> JSON:
    if isinstance(value, enum.Enum):
        cls = type(value)
        # By the name: the values of an Enum may be anything, and change more often than names do.
        return value.name if f"{cls.__module__}:{cls.__qualname__}" == kind.enum_class else None
    return value if isinstance(value, str) and value in kind.choices else None


def _literal(kind: Kind, value: object) -> JSON:
    # `1 == True`, so the types are compared as well: a lock has to keep which of them was meant.
    matching: Any = (choice for choice in kind.choices if choice == value and type(choice) is type(value))
    return next(matching, None)


_CHECKS: dict[str, Any] = {
    "bool": lambda _, v: v if isinstance(v, bool) else None,
    # `True` is an int to Python; as a number it is nearly always a slip.
    "int": lambda _, v: v if isinstance(v, int) and not isinstance(v, bool) else None,
    "float": _float,
    "str": _str,
    "date": lambda _, v: _iso(date, v),
    "datetime": lambda _, v: _iso(datetime, v),
    "event": _event,
    "enum": _enum,
    "literal": _literal,
}


def kind_of(annotation: object) -> Kind | None:
    """The kind for an annotation; None if a parameter can't have that type."""
    if isinstance(annotation, type) and annotation in _SCALARS:
        return Kind(_SCALARS[annotation])
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return Kind(
            "enum",
            choices=tuple(annotation.__members__),
            enum_class=f"{annotation.__module__}:{annotation.__qualname__}",
        )
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal and all(type(a) in (bool, int, str) for a in args):
        return Kind("literal", choices=tuple(args))
    # No lists of lists: `a,b` could not say where the inner ones end.
    if origin is list and len(args) == 1 and (inner := kind_of(args[0])) and inner.name != "list":
        return Kind("list", of=inner)
    if origin in (typing.Union, types.UnionType) and len(args) == 2 and type(None) in args:
        inner = kind_of(next(a for a in args if a is not type(None)))
        return Kind("optional", of=inner) if inner else None
    return None
