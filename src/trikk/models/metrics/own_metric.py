"""`Metric`: a metric of the author's own, with its name and which way is better; and what people call a metric."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from trikk.core.errors import DefinitionError
from trikk.core.names import check_title
from trikk.pipeline.location import caller, defining

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class Better(StrEnum):
    """Which way a metric is better."""

    LOWER = "lower"
    HIGHER = "higher"
    ZERO = "zero"
    """The nearer to zero."""
    UNKNOWN = ""
    """Nobody has said so: no figure of it is called better or worse than another."""


KNOWN = (Better.LOWER, Better.HIGHER, Better.ZERO)


class Metric:
    """A metric of your own, or with a title: `Monitor(..., metrics=["mae", Metric(within_3, better="higher")])`.

    Args:
        function: takes truths and values, numpy arrays of one length without missing ones; gives a number. At the
            top level of a module, where workers find it. Or the name of one of trikk's metrics, to say what people
            call it: Metric("f1", title="How well leaks are found").
        better: "lower", "higher", or "zero" for the nearer to zero. If it is not given, no figure of it is called
            better or worse than another.
        name: what it is called in figures, conditions, tables and reports; the function's name if not given.
        title: what reports call it.
        unit: what reports write behind its figures, such as "persons".
        customer_name: what a customer's page calls it; its title if not given.

    Raises:
        DefinitionError: if something in it can't work.
    """

    def __init__(
        self,
        function: Callable[..., Any] | str,
        *,
        better: str | None = None,
        name: str | None = None,
        title: str = "",
        unit: str = "",
        customer_name: str = "",
    ) -> None:
        self.called = _called(title=title, unit=unit, customer_name=customer_name)
        self.better = better or ""
        if isinstance(function, str) and not is_place(function):
            self.function, self.name = "", function
            if better is not None or name is not None:
                raise DefinitionError(
                    f"{function} has a name, and it is known which way is better",
                    where=caller(),
                    next=f'leave out name= and better=: Metric("{function}", title="...")',
                )
            return
        self.function = function if isinstance(function, str) else place_of(function)
        self.name = short(self.function) if name is None else name
        if self.better not in [*Better]:
            raise DefinitionError(f"better={better!r}", where=caller(), next=f"use one of {', '.join(KNOWN)}")
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise DefinitionError(
                f"{self.name!r} can't be the name of a metric",
                where=caller(),
                next='use letters, digits and _, as in a condition: name="within_3"',
            )

    def __repr__(self) -> str:
        return f"Metric({self.name!r}, better={self.better or None!r})"


def _called(**given: str) -> dict[str, str]:
    """What a metric is called, as far as it is given."""
    with defining():
        return {kind: check_title(kind, text) for kind, text in given.items() if text != ""}


def place_of(function: object) -> str:
    """Where workers find a function: "module:name".

    Raises:
        DefinitionError: if they can't.
    """
    if not callable(function) or not hasattr(function, "__qualname__"):
        raise DefinitionError(
            f"{function!r} is not a metric",
            where=caller(),
            next="give a function of truths and values, or a metric's name",
        )
    if "<" in function.__qualname__:
        raise DefinitionError(
            f"{function.__qualname__} can't be found by its name",
            where=caller(),
            next="define the metric as a function at the top level of a module",
        )
    return f"{function.__module__}:{function.__qualname__}"


def short(name: str) -> str:
    """What a metric is called where nothing else is said: of "module:function" the function."""
    return name.rpartition(":")[2].rpartition(".")[2] if is_place(name) else name


def is_place(name: str) -> bool:
    """Whether a metric's name is the place of an author's function, "module:function"; f1[a:b] is of a class."""
    return ":" in name.partition("[")[0]
