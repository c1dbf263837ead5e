"""Secrets that this process has asked for are masked where it writes: in texts, on its streams, in its log.

It knows values, not meanings: a value is found as it is, encoded for a URL, and as JSON and `repr` write it, whole
or line by line. One that was cut, compressed, encrypted or turned around is not, nor is one shorter than four
characters, which stands in any text.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote, unquote

from trikk.core.errors import UsageError

MASK = "***"
_SHORTEST, _SHORTEST_LINE = 4, 8  # characters
_names: dict[str, str] = {}
"""The name of each secret by each form of its value."""


def remember(name: str, value: str) -> None:
    """Mask a value from now on, wherever this process writes it."""
    if value in _names or len(value) < _SHORTEST:
        return
    lines = [line for line in map(str.strip, value.splitlines()) if len(line) >= _SHORTEST_LINE]
    for form in _forms([value, *lines]):
        _names[form] = name


def hide(text: str) -> str:
    """`text` with every value that was asked for replaced by ***."""
    return replaced(text, _names) if _names else text


def hide_within(value: Any) -> Any:
    """A JSON value with all texts in it as `hide` gives them."""
    if not _names:
        return value
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, Mapping):
        return {hide(key): hide_within(item) for key, item in value.items()}
    return [hide_within(item) for item in value] if isinstance(value, list | tuple) else value


def hide_values(text: str, values: Iterable[str]) -> str:
    """`text` with these values replaced by ***, as they are, encoded or decoded."""
    return replaced(text, _forms([*values, *map(unquote, values)]))


def replaced(text: str, forms: Iterable[str]) -> str:
    """`text` with each form in it replaced by ***, the longest first: one may hold another."""
    for form in sorted(filter(None, forms), key=len, reverse=True):
        text = text.replace(form, MASK)
    return text


def refuse_in(file: Path) -> None:
    """Refuse a file whose bytes hold a value that was asked for.

    Raises:
        UsageError: naming the secret.
    """
    if not _names or not file.stat().st_size:
        return
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for form, name in _names.items():
            if data.find(form.encode()) >= 0:
                raise UsageError(
                    f"it holds the secret {name}", next="leave it out; what needs it asks for it: secret(...)"
                )


def mask_streams() -> None:
    """Mask what goes to stdout and stderr from now on, as Python writes it."""
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        if stream is not None and not isinstance(stream.write, _MaskedWrite):
            with contextlib.suppress(AttributeError):  # some stand-in of the author's, without room for it
                stream.write = _MaskedWrite(stream)  # type: ignore[method-assign]


def mask_file(file: Path) -> None:
    """Write asterisks over the values in a log: programs that the step has started may have printed some.

    It keeps its length: others read it meanwhile.
    """
    if not _names or not file.stat().st_size:
        return
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 0) as data:
        for form in sorted(map(str.encode, _names), key=len, reverse=True):
            place = data.find(form)
            while place >= 0:
                data[place : place + len(form)] = b"*" * len(form)
                place = data.find(form, place)


class _MaskedWrite:
    """The `write` of a stream, which loggers and programs may hold on to."""

    def __init__(self, stream: TextIO) -> None:
        self._write: Callable[[str], int] = stream.write

    def __call__(self, text: str) -> int:
        self._write(hide(text))
        return len(text)


def _forms(values: Iterable[str]) -> set[str]:
    return {
        form
        for value in values
        for form in (
            value,
            quote(value, safe=""),
            json.dumps(value)[1:-1],
            json.dumps(value, ensure_ascii=False)[1:-1],
            repr(value)[1:-1],
        )
        if form
    }
