"""Plain values as Python source, in the style of ruff's formatter."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

_INDENT = "    "


class Expression(str):
    """Python source that stands for itself, such as a call."""

    __slots__ = ()


def source_of(value: Any, depth: int = 0) -> str:
    """A value as Python source: None, truth values, numbers, texts, and lists and dicts of these, one item a line.

    Args:
        value: the value.
        depth: how many levels its first line is indented by already.
    """
    if isinstance(value, Expression):
        return str(value)
    if isinstance(value, str):
        return quoted(value)
    pad = _INDENT * (depth + 1)
    if isinstance(value, Mapping):
        lines = [f"{pad}{quoted(str(key))}: {source_of(inner, depth + 1)},\n" for key, inner in value.items()]
        return "{\n" + "".join(lines) + _INDENT * depth + "}" if lines else "{}"
    if isinstance(value, Sequence):
        lines = [f"{pad}{source_of(inner, depth + 1)},\n" for inner in value]
        return "[\n" + "".join(lines) + _INDENT * depth + "]" if lines else "[]"
    return repr(value)


def call(function: str, arguments: Sequence[Any], named: Mapping[str, Any], depth: int = 0) -> Expression:
    """A call with one argument a line."""
    pad = _INDENT * (depth + 1)
    lines = [f"{pad}{source_of(argument, depth + 1)},\n" for argument in arguments]
    lines += [f"{pad}{name}={source_of(argument, depth + 1)},\n" for name, argument in named.items()]
    return Expression(f"{function}(\n{''.join(lines)}{_INDENT * depth})" if lines else f"{function}()")


def quoted(text: str) -> str:
    """A text as a literal, in the quotes that need fewer escapes; double ones if both do."""
    inner = json.dumps(text, ensure_ascii=False)[1:-1].replace("\x7f", "\\x7f")
    inner = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in inner)
    if text.count('"') > text.count("'"):
        return "'" + inner.replace('\\"', '"').replace("'", "\\'") + "'"
    return f'"{inner}"'
