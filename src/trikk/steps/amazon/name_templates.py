"""Templates of objects' names, such as `s3://city/{day:%Y/%m}/{line}.csv`, filled in. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from trikk.core.errors import UsageError

_HOLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?::([^{}]*))?\}")


def check_holes(uri: str, parameters: Mapping[str, object]) -> None:
    """Check that the address and the parameters name the same holes.

    Raises:
        UsageError: if they do not, or if another brace stands in the address.
    """
    # Both ways: a value that is not used is as likely a slip as one that lacks.
    names = [name for name, _ in _HOLE.findall(uri)]
    if re.search(r"[{}]", _HOLE.sub("", uri)):
        raise UsageError(f"{uri!r} has a brace that is not a {{name}}", next="write {day} or {day:%Y-%m-%d}")
    for name in names:
        if name not in parameters:
            raise UsageError(f"{{{name}}} in the address has no value", where=uri, next=f"give a value for {name}")
    unused = sorted(parameters.keys() - set(names))
    if unused:
        raise UsageError(
            f"the address does not use the parameter {unused[0]!r}", where=uri, next=f"write {{{unused[0]}}} in it"
        )


def fill(uri: str, parameters: Mapping[str, object]) -> str:
    """Put values in the place of `{name}` and `{day:%Y/%m}`.

    A value is a piece of a name: it may hold no `/` and nothing that is a pattern, so that a parameter from
    outside can't lead to other folders. What the author writes after the colon is strftime's format of a date.

    Raises:
        UsageError: as `check_holes`, and if a value is no such piece.
    """
    check_holes(uri, parameters)
    return _HOLE.sub(lambda m: _piece(m[1], m[2], parameters[m[1]], uri), uri)


def _piece(name: str, form: str | None, value: object, uri: str) -> str:
    if isinstance(value, date):
        return value.strftime(form) if form else value.isoformat()
    if form is not None:
        raise UsageError(f"{{{name}:{form}}} is a form of a date, not of {type(value).__name__}", where=uri)
    text = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    if not text or not text.isprintable() or re.search(r"[/*?\[\]{}\\]", text) or text in (".", ".."):
        raise UsageError(
            f"the value of {{{name}}} can't be a piece of an object's name",
            where=uri,
            next="give a date, a number or a text without / and patterns",
        )
    return text
