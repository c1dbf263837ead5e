"""Where in the author's code a call was made, for errors that point at the mistake."""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import linecache
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, ParamSpec, TypeVar

from trikk.core.errors import DefinitionError, TrikkError, UsageError

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

# `with when(...)` goes through contextlib, a cached property through functools.
_NOT_THE_AUTHORS = ("trikk", "contextlib", "dataclasses", "functools")


def caller() -> str:
    """`file:line` of the nearest frame outside of trikk and of what it calls itself through."""
    frame = _authors_frame()
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def first_argument() -> str:
    """The first argument of the author's call as it was written, in one line; empty where there is no source."""
    frame = _authors_frame()
    # An instruction has two bytes, and `co_positions` one entry for each instruction.
    place = next(itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None), (None,) * 4)
    line, end_line, column, end_column = place
    if line is None or end_line is None:
        return ""
    # Encoded, since the columns count bytes of UTF-8.
    lines = [linecache.getline(frame.f_code.co_filename, n).encode() for n in range(line, end_line + 1)]
    lines[-1] = lines[-1][:end_column]
    lines[0] = lines[0][column or 0 :]
    text = b"".join(lines).decode()
    try:
        call = ast.parse(text, mode="eval").body
    except SyntaxError:
        return ""
    written = ast.get_source_segment(text, call.args[0]) if isinstance(call, ast.Call) and call.args else None
    return " ".join((written or "").split())


def _authors_frame() -> FrameType:
    # Two up: past this function and the one in here that asked.
    frame = sys._getframe(2)
    while frame.f_back is not None and _module(frame.f_globals) in _NOT_THE_AUTHORS:
        frame = frame.f_back
    return frame


def _module(names: dict[str, Any]) -> str:
    return str(names.get("__name__")).partition(".")[0]


def of_function(function: Callable[..., Any]) -> str:
    """`file:line` at which a function is defined, or its module where it has no source."""
    code = getattr(function, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else str(getattr(function, "__module__", "?"))


def located(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a check of `trikk.core`; a UsageError that it raises gets the author's `file:line`."""
    try:
        return function(*args, **kwargs)
    except UsageError as error:
        error.where = error.where or caller()
        raise


@contextmanager
def defining(where: str | None = None) -> Iterator[None]:
    """Give what is wrong in a definition the file and line of the author's call.

    Args:
        where: that place; the nearest frame of the author's if not given.

    Raises:
        DefinitionError: in the place of any error of trikk's own.
    """
    try:
        yield
    except TrikkError as error:
        raise DefinitionError(error.what, where=where or caller(), next=error.next) from error


def explained(cls: type[T]) -> type[T]:
    """Decorate a class that authors declare by: wrong arguments are a DefinitionError that names their line."""
    make, signature = cls.__init__, inspect.signature(cls)

    @functools.wraps(make)
    def init(self: object, *args: Any, **kwargs: Any) -> None:
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            import difflib

            unknown = next((name for name in kwargs if name not in signature.parameters), "")
            close = difflib.get_close_matches(unknown, signature.parameters, n=1)
            mend = f"did you mean {close[0]}=?" if close else f"it takes {', '.join(signature.parameters)}"
            raise DefinitionError(f"{cls.__name__}: {error}", where=caller(), next=mend) from None
        make(self, *args, **kwargs)

    setattr(cls, "__init__", init)  # noqa: B010 - to mypy, assigning to it is an error
    return cls


def check_plain(kind: str, function: Any, *, next: str) -> None:  # noqa: A002 - as in the error
    """Refuse what is no plain function where a `kind` (step, pipeline) is to be made of it.

    Raises:
        DefinitionError: if it is not a named function, or calling it would not run its body.
    """
    if not callable(function) or not hasattr(function, "__name__"):
        raise DefinitionError(
            f"{function!r} can't be a {kind}", where=caller(), next=f"write @{kind} above a function"
        )
    looks = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    if any(look(function) for look in looks):
        raise DefinitionError(
            f"{function.__name__} is a generator or coroutine", where=of_function(function), next=next
        )
