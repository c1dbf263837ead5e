"""Texts in a state machine: literal, or put together while it runs by Step Functions' intrinsic functions.

https://docs.aws.amazon.com/step-functions/latest/dg/intrinsic-functions.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trikk.core.record import Record

REFUSED = "'{}\\"
"""Characters that have a meaning within an intrinsic function; texts of settings with one of them are refused."""


class Path(Record, frozen=True):
    """A value of the state's input (`$.p.day`) or of the execution (`$$.Execution.Name`), as text."""

    path: str


Text = str | Path | tuple[str | Path, ...]
"""A literal, a value, or both after each other."""


def fields(key: str, text: Text) -> dict[str, str]:
    """A field of a state's parameters that holds a text: as it is, or under the name that has it computed."""
    return {key: text} if isinstance(text, str) else {f"{key}.$": intrinsic(text)}


def array(key: str, texts: Iterable[Text]) -> dict[str, Any]:
    """A field that holds a list of texts; the list is computed as a whole if one of them is."""
    listed = list(texts)
    if all(isinstance(text, str) for text in listed):
        return {key: listed}
    return {f"{key}.$": f"States.Array({', '.join(map(intrinsic, listed))})"}


def intrinsic(text: Text) -> str:
    """A text as an argument of an intrinsic function; numbers and truth values become texts."""
    if isinstance(text, str):
        return f"'{text}'"
    parts = (text,) if isinstance(text, Path) else text
    form = "".join("{}" if isinstance(part, Path) else part for part in parts)
    paths = [part.path for part in parts if isinstance(part, Path)]
    arguments = ", ".join([f"'{form}'", *paths])
    return f"States.Format({arguments})"


def refused_in(text: Text) -> str:
    """The first character of a literal that can't stand in an intrinsic function; "" if there is none."""
    parts = text if isinstance(text, tuple) else (text,)
    literal = "".join(part for part in parts if isinstance(part, str))
    return next((character for character in literal if character in REFUSED), "")
