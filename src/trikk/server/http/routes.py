"""What a route is: a method and a path, what it takes, what answers, and what an answer is.

The table of routes is the only place that knows paths, and all that the description of the API is made from
(`openapi.py`): bodies, queries, header fields and answers are types of which msgspec gives the JSON Schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar, get_type_hints

import msgspec

from trikk.access.identity import Identity, IdentityKind, Role
from trikk.access.session_cookie import cookie_in, cookie_name
from trikk.core.digests import DIGEST_LENGTH
from trikk.server.http.doors import LONGEST, Doors
from trikk.web.refused import JSON_TYPE

if TYPE_CHECKING:
    from starlette.responses import Response

    from trikk.web.request_body import Scope

API = "/api/v1"
EVENTS_TYPE = "text/event-stream"
BYTES_TYPE = "application/octet-stream"
TEXT_TYPE = "text/plain"
HTML_TYPE = "text/html"
NAME = "^[A-Za-z][A-Za-z0-9_-]{0,99}$"  # of a run, a pipeline, a table: as `trikk.core.names` has it
STEP = r"^[A-Za-z][A-Za-z0-9_-]{0,99}(\[[0-9]{1,9}\])?$"  # a step, or an item of one
WINDOW = "^[0-9][0-9TW:+-]{0,40}$"  # a window's label, or a time in it
PATH_NAMES = {
    "window": WINDOW,
    "step": STEP,
    "version": f"^[0-9]{{1,9}}$|{NAME}",
    "prediction": "^[^/\x00-\x1f]{1,200}$",
    "token": "^[^/\x00-\x1f]{1,200}$",  # also a person's, such as anna@example.com
    "digest": f"^[0-9a-f]{{{DIGEST_LENGTH}}}$",
    "incident": "^[^/]+(/[^/]+)*-[0-9]+$",  # a slice's value may have slashes
    "file": r"^[a-z][a-z0-9-]{0,40}\.[a-z0-9]{1,5}$",
}
"""What names in paths look like that are not like `NAME`."""
T = TypeVar("T")


class Given(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of what a client gives, in a body or a query: a name that is not known is refused, not left out."""


class Nothing(Given, frozen=True):
    """A body or a query with nothing in it."""


class Said(Given, frozen=True):
    """Why something is done, and by whom, as it is written down."""

    why: str = ""
    by: str = ""  # who asks, if nobody else knows; for whom, if the caller has a name


class ResumeWith(Said, frozen=True):
    """How what has stopped is to go on."""

    code: Literal["locked", "current"] | None = None  # whose; need not be said if both are the same


@dataclass(frozen=True, slots=True)
class Call:
    """One request, read and checked as far as its route says."""

    path: Mapping[str, str]  # the names in the path
    query: Any  # as `Route.query` says
    body: Any  # as `Route.body` says; bytes for a raw one
    fields: Any  # header fields, as `Route.fields` says
    headers: Mapping[str, str]  # all of them, names in lower case
    identity: Identity | None  # who asks; None if the route is open and they do not say
    address: str  # from where
    scheme: str = "http"  # by which the sender called the server
    target: str = "/"  # path and query, as the request has them
    form: Mapping[str, str] = field(default_factory=dict)  # of a page's form, what is not the body: `FORM_FIELDS`

    @property
    def caller(self) -> str:
        """Who asks, by name."""
        return self.identity.name if self.identity is not None else ""

    @property
    def host(self) -> str:
        """The server, as whoever asks calls it; "" if they do not say."""
        return self.headers.get("host", "")

    def cookie(self, base: str) -> str:
        """The value of a cookie of this server's; "" if there is none."""
        return cookie_in(self.headers.get("cookie", ""), cookie_name(base, self.host))


def who(call: Call) -> str:
    """Who does it, as it is written down: the caller, and whom they name; that alone if they have no name."""
    by = getattr(call.body, "by", "") or getattr(call.query, "by", "")  # beside a file there is no body to say it
    if call.identity is None or call.identity.kind is IdentityKind.LOCAL:
        return by or call.caller
    return f"{call.caller} for {by}" if by and by != call.caller else call.caller


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What goes back: a JSON document, whose type is what the API's description says of it."""

    document: Any  # fits T, as the tests see to: most are made as dicts, by what makes them for commands
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
        role: what callers must at least be; viewer for a GET, operator for a POST, if not given.
        is_open: whether nobody has to say who they are.
        is_page: whether people see it in a browser: its body is a form, and what goes wrong is told by a page.
        longest: seconds that it may take.
        then: of a page that does what an operation of the API does, what follows; it is given that answer.
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
    role: Role | None = None
    is_open: bool = False
    is_page: bool = False
    longest: float = LONGEST
    then: Callable[[Doors, Call, Any], Response] | None = None

    @property
    def needs(self) -> Role:
        """The role that it takes."""
        return self.role or (Role.OPERATOR if self.changes else Role.VIEWER)

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


class Pages(Protocol):
    """Pages for people in browsers, which a server has beside its API."""

    routes: Sequence[Route]

    def problem(self, error: BaseException, scope: Scope, identity: Identity | None) -> Response:
        """The page that explains why a request was refused, or the way to sign in."""
