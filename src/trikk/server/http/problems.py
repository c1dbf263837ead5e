"""Errors as HTTP has them: a status, and a problem document (RFC 9457) with the commands' what, where and next."""

from __future__ import annotations

import errno
import logging
from http import HTTPStatus

from trikk.core.errors import (
    ArtifactCorrupt,
    ArtifactMissing,
    BrokerError,
    Conflict,
    DefinitionError,
    JournalError,
    LeaseHeld,
    LeaseLost,
    MissingExtra,
    ParameterError,
    ProjectError,
    RunError,
    RunExists,
    StorageError,
    TrikkError,
    UnknownName,
    UsageError,
    VersionMissing,
    WebhookRefused,
    WrongState,
)
from trikk.core.record import Record
from trikk.web.refused import Refused

PROBLEM_TYPE = "application/problem+json"
RETRY_AFTER = 2  # seconds, of what a full disk, a locked journal or a full queue hold up
_log = logging.getLogger("trikk.server")

# The first that fits counts, so the narrower ones come first.
_STATUSES: tuple[tuple[type[TrikkError], int], ...] = (
    (UnknownName, 404),
    (ParameterError, 422),
    # The project's code is not the client's doing, and may be whole again in a minute.
    (DefinitionError, 503),
    (ProjectError, 503),
    (MissingExtra, 501),
    (WebhookRefused, 401),
    (WrongState, 409),
    (UsageError, 422),
    (ArtifactMissing, 404),
    (VersionMissing, 404),
    (ArtifactCorrupt, 500),
    (Conflict, 409),
    (RunExists, 409),
    (LeaseHeld, 409),
    (LeaseLost, 409),
    (RunError, 409),
    (JournalError, 503),
    (BrokerError, 503),
    (StorageError, 503),
)


class Problem(Record, frozen=True):
    """A problem document; `detail` says what `what` says, for clients that know the standard alone."""

    title: str
    status: int
    detail: str
    code: str  # as in the command line's --json
    what: str
    where: str | None
    next: str | None
    type: str = "about:blank"


def problem_of(error: BaseException) -> Problem:
    """The problem that an error is to a client; one that nobody has foreseen is logged, and told by its kind."""
    if isinstance(error, TrikkError):
        return _problem(status_of(error), error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE):
        told = TrikkError(f"the system refused: {error.strerror}", next="make room, then try again")
        return _problem(503, told)
    _log.error("a request could not be answered", exc_info=error)
    told = TrikkError(
        f"the server ran into something unexpected ({type(error).__name__})", next="its own log says more"
    )
    return _problem(500, told)


def status_of(error: TrikkError) -> int:
    """The status of one of trikk's errors: 4xx where the client can mend it, 503 where waiting may help."""
    if isinstance(error, Refused):
        return error.status
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def problem_headers(error: BaseException, problem: Problem) -> dict[str, str]:
    """The header fields of an answer that explains an error, be it a document or a page."""
    headers = dict(error.headers) if isinstance(error, Refused) else {}
    if problem.status == 503:
        headers.setdefault("retry-after", str(RETRY_AFTER))
    if problem.status in (401, 403, 413, 429):
        headers["connection"] = "close"  # what is left of the request is not read
    return headers


def _problem(status: int, error: TrikkError) -> Problem:
    title = HTTPStatus(status).phrase
    return Problem(title, status, error.what, error.code, error.what, error.where, error.next)


def explain(why: Refused) -> tuple[str, bytes]:
    """The media type and the body for what is refused before there is a request."""
    return PROBLEM_TYPE, problem_of(why).to_bytes()
