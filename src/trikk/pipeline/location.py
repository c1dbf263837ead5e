"""Where in the author's code a call was made, for errors that point at the mistake."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from trikk.core.errors import DefinitionError, UsageError

P = ParamSpec("P")
R = TypeVar("R")

_NOT_THE_AUTHORS = ("trikk", "contextlib", "dataclasses", "functools")


def caller() -> str:
    """`file:line` of the nearest frame outside of trikk and of what it calls itself through."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _module(frame.f_globals) in _NOT_THE_AUTHORS:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


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


def check_plain(kind: str, function: Any, *, next: str) -> None:  # noqa: A002 - as in the error
    """Refuse what is no plain function where a `kind` (step, pipeline) is to be made of it.

    Raises:
        DefinitionError: if it is no named function, or calling it would not run its body.
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
