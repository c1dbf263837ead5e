"""What a route is: a method and a path, what it takes, what answers, and what an answer is.

The table of routes is the only place that knows paths, and all that the description of the API is made from
(`openapi.py`): bodies, queries, header fields and answers are types of which msgspec gives the JSON Schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_type_hints

import msgspec

from trikk.web.refused import JSON_TYPE

if TYPE_CHECKING:
    from starlette.responses import Response

    from trikk.server.http.doors import Doors

API = "/api/v1"
EVENTS_TYPE = "text/event-stream"
BYTES_TYPE = "application/octet-stream"
TEXT_TYPE = "text/plain"
NAME = "^[A-Za-z][A-Za-z0-9_-]{0,99}$"  # of a run, a pipeline, a table: as `trikk.core.names` has it
T = TypeVar("T")


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
    fields: Any  # header fields, as `Route.fields` says
    headers: Mapping[str, str]  # all of them, names in lower case
    caller: str  # who asks


def who(call: Call) -> str:
    """Who does it, as it is written down: whom the body names, as long as callers have no names of their own."""
    return getattr(call.body, "by", "") or call.caller


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What goes back: a JSON document."""

    document: T
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path.

    Attributes:
        method: GET or POST; HEAD goes with GET.
        path: with names in braces.
        handler: answers, in a thread, so that it may wait for a database. Its name is the operation's, its
            docstring says what it does; unless `content` is not JSON, it returns `Answer[type of the document]`.
        content: the media type of a success.
        body: what a POST takes; an empty body is `{}`. `bytes` for one that the handler reads itself.
        query: what may follow the question mark.
        fields: the header fields that it reads, in lower case.
        statuses: of successes; the first is the usual one.
        refusals: statuses of problems beyond those that any route of its form has.
    """

    method: str
    path: str
    handler: Callable[[Doors, Call], Answer[Any] | Response]
    content: str = JSON_TYPE
    body: Any = Nothing
    query: type[Given] = Nothing
    fields: type[Given] = Nothing
    statuses: tuple[int, ...] = (200,)
    refusals: tuple[int, ...] = ()

    @property
    def operation(self) -> str:
        """Its name among all operations."""
        return self.handler.__name__

    @property
    def changes(self) -> bool:
        """Whether it may change something."""
        return self.method != "GET"

    @property
    def answer(self) -> Any:
        """The type of the document of a success; Any if it is no JSON."""
        if self.content != JSON_TYPE:
            return Any
        (document,) = get_type_hints(self.handler)["return"].__args__
        return document
