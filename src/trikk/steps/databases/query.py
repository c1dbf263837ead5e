"""Parameters in a query: found without touching literals, quoted names, casts or comments, and never formatted in.

`:name` is a parameter where the colon follows neither another colon nor the end of a value: `x::date`, `a[1:n]`
and `{'a':1}` hold none. What a driver then gets is its own style with the values beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from trikk.core.errors import UsageError

Dialect = Literal["sqlite", "duckdb", "postgresql"]
_NAME = re.compile(r":([A-Za-z_][A-Za-z0-9_]*)")
_DOLLAR = re.compile(r"\$(?:[A-Za-z_][A-Za-z0-9_]*)?\$")
_COMMENT = re.compile(r"/\*|\*/")


def bind(query: str, parameters: Mapping[str, object], dialect: Dialect) -> tuple[str, dict[str, object]]:
    """Return the query in the driver's own style, and the values to give beside it.

    Args:
        query: SQL with `:name` for each parameter.
        parameters: a value for each name that the query uses, and no other.
        dialect: "sqlite" keeps `:name`, "duckdb" takes `$name`, "postgresql" takes psycopg's `%(name)s`.

    Raises:
        UsageError: if a parameter is missing or not used, or a literal or comment does not end.
    """
    parts: list[str] = []
    names: list[str] = []
    for kind, text in tokens(query, dialect):
        if kind == "parameter":
            names.append(text)
            parts.append({"sqlite": f":{text}", "duckdb": f"${text}", "postgresql": f"%({text})s"}[dialect])
        else:
            # psycopg takes every % for one of its own, also inside literals.
            parts.append(text.replace("%", "%%") if dialect == "postgresql" else text)
    _check_names(names, parameters)
    return "".join(parts), {name: parameters[name] for name in names}


def ordered(query: str, parameters: Mapping[str, object]) -> tuple[str, list[tuple[str, object]]]:
    """Return the query with `?` for each parameter, and their names and values in that order.

    Raises:
        UsageError: as `bind`.
    """
    pieces = list(tokens(query, "postgresql"))
    names = [text for kind, text in pieces if kind == "parameter"]
    _check_names(names, parameters)
    text = "".join("?" if kind == "parameter" else text for kind, text in pieces)
    return text, [(name, parameters[name]) for name in names]


def _check_names(names: Sequence[str], parameters: Mapping[str, object]) -> None:
    missing = sorted(set(names) - parameters.keys())
    unused = sorted(parameters.keys() - set(names))
    if missing:
        raise UsageError(f"the query has no value for :{missing[0]}", next=f"give the parameter {missing[0]}")
    if unused:
        raise UsageError(f"the query does not use the parameter {unused[0]!r}", next=f"write :{unused[0]} in it")


def sql_name(name: str) -> str:
    """A column's name as it may stand in any query, quoted."""
    return '"' + name.replace('"', '""') + '"'


def tokens(query: str, dialect: Dialect) -> Iterator[tuple[Literal["text", "parameter"], str]]:
    """Split a query into its parameters (their names) and the text between them, in order.

    Raises:
        UsageError: if a literal or a comment does not end.
    """
    at = 0
    while at < len(query):
        end = _opaque_end(query, at, dialect)
        if end is not None:
            yield "text", query[at:end]
            at = end
            continue
        name = _NAME.match(query, at)
        if name and not _ends_value(query, at):
            yield "parameter", name[1]
            at = name.end()
            continue
        # A cast: its second colon must not begin a parameter.
        step = 2 if query.startswith("::", at) else 1
        yield "text", query[at : at + step]
        at += step


def _ends_value(query: str, at: int) -> bool:
    before = query[at - 1] if at else " "
    return before.isalnum() or before in "_:'\"]"


def _opaque_end(query: str, at: int, dialect: Dialect) -> int | None:
    """Where the literal, quoted name or comment that begins at `at` ends; None if none begins there."""
    char = query[at]
    if char in "'\"" or (char == "`" and dialect == "sqlite"):
        escaped = char == "'" and dialect != "sqlite" and _is_escape_string(query, at)
        return _quoted_end(query, at, char, backslash=escaped)
    if char == "[" and dialect == "sqlite":
        return _closing_end(query, "]", at, "quoted name")
    if query.startswith("--", at):
        end = query.find("\n", at)
        return len(query) if end < 0 else end
    if query.startswith("/*", at):
        return _comment_end(query, at, nested=dialect != "sqlite")
    if char == "$" and dialect != "sqlite" and (tag := _DOLLAR.match(query, at)):
        if at and (query[at - 1].isalnum() or query[at - 1] == "_"):
            return None
        return _closing_end(query, tag[0], tag.end(), "dollar-quoted literal")
    return None


def _is_escape_string(query: str, at: int) -> bool:
    """Whether the quote at `at` opens an E'...' literal, in which a backslash hides a quote."""
    if at == 0 or query[at - 1] not in "eE":
        return False
    return at == 1 or not (query[at - 2].isalnum() or query[at - 2] in "_$")


def _quoted_end(query: str, at: int, quote: str, *, backslash: bool) -> int:
    place = at + 1
    while place < len(query):
        if backslash and query[place] == "\\":
            place += 2
        elif query[place] != quote:
            place += 1
        elif query.startswith(quote, place + 1):
            place += 2
        else:
            return place + 1
    raise _unended("literal" if quote == "'" else "quoted name", query, at)


def _comment_end(query: str, at: int, *, nested: bool) -> int:
    if not nested:
        return _closing_end(query, "*/", at + 2, "comment")
    depth = 0
    for mark in _COMMENT.finditer(query, at):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    raise _unended("comment", query, at)


def _closing_end(query: str, closing: str, at: int, kind: str) -> int:
    end = query.find(closing, at)
    if end < 0:
        raise _unended(kind, query, at)
    return end + len(closing)


def _unended(kind: str, query: str, at: int) -> UsageError:
    line = query.count("\n", 0, at) + 1
    return UsageError(f"a {kind} that begins in line {line} of the query does not end", next="close it")
