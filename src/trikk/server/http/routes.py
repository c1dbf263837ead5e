"""What a route is: a method and a path, what it takes, what answers, and what an answer is.

The table of routes is the only place that knows paths. A description of the API can be made from it: bodies,
queries and answers are types of which msgspec gives the JSON Schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from starlette.responses import Response

    from trikk.server.http.doors import Doors

API = "/api/v1"


class Given(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of what a client gives, in a body or a query: a name that is not known is refused, not left out."""


class Nothing(Given, frozen=True):
    """A body or a query with nothing in it."""


class Said(Given, frozen=True):
    """Why something is done, and by whom, as it is written down."""

    why: str = ""
    by: str = ""  # who asks, if nobody else knows; the caller's name otherwise


@dataclass(frozen=True, slots=True)
class Call:
    """One request, read and checked as far as its route says."""

    path: Mapping[str, str]  # the names in the path
    query: Any  # as `Route.query` says
    body: Any  # as `Route.body` says; bytes for a raw one
    headers: Mapping[str, str]  # names in lower case
    caller: str  # who asks


def who(call: Call) -> str:
    """Who does it, as it is written down: whom the body names, as long as callers have no names of their own."""
    return getattr(call.body, "by", "") or call.caller


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: a JSON document."""

    document: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path.

    Attributes:
        method: GET or POST; HEAD goes with GET.
        path: with names in braces.
        handler: answers, in a thread, so that it may wait for a database; its docstring says what it does.
        answer: the type of the document of a success.
        body: what a POST takes; an empty body is `{}`. `bytes` for one that the handler reads itself.
        query: what may follow the question mark.
        status: of a success.
    """

    method: str
    path: str
    handler: Callable[[Doors, Call], Answer | Response]
    answer: Any = dict
    body: Any = Nothing
    query: type[Given] = Nothing
    status: int = 200
