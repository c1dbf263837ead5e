"""Problem documents as the errors that they were on the server: who asks one is told what a command would say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec

from trikk.core.errors import TrikkError
from trikk.web.refused import Refused

_BARE = 300  # characters that are shown of an answer that is no problem document


def error_of(status: int, body: bytes, headers: Mapping[str, str]) -> TrikkError:
    """The error that an answer tells of; `Refused`, with the status, where no server of ours has written it."""
    try:
        problem = msgspec.json.decode(body, type=dict[str, Any])
        code, what, where, then = (problem[key] for key in ("code", "what", "where", "next"))
    except (msgspec.DecodeError, KeyError):
        text = body[:_BARE].decode(errors="replace").strip()
        phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "unknown"
        mend = "look whether a trikk server is at that address, or a proxy in front of it refuses"
        return Refused(status, f"the server answered {status} ({phrase}): {text}", next=mend, headers=headers)
    if code == Refused.code:
        return Refused(status, what, where=where, next=then, headers=headers)
    kind = _kinds().get(code, TrikkError)
    # Not by its __init__, which writes the sentences that are here already.
    error = kind.__new__(kind, what)
    TrikkError.__init__(error, what, where=where, next=then)
    vars(error).update({} if kind.code == code else {"code": code}, **_BESIDES.get(code, {}))
    return error


_BESIDES: dict[str, dict[str, Any]] = {
    "unknown-name": {"close": []},
    "missing-extra": {"extra": ""},
    "signature": {"field": None},
}
"""What errors have beside what problem documents tell."""


@cache
def _kinds() -> dict[str, type[TrikkError]]:
    kinds: dict[str, type[TrikkError]] = {}
    for kind in _below(TrikkError):
        kinds.setdefault(kind.code, kind)  # the base, of those that share a code
    return kinds


def _below(kind: type[TrikkError]) -> Iterator[type[TrikkError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _below(narrower)
