"""A request that begins a run, counted once: `Idempotency-Key`, for one project, pipeline and caller, seven days.

Each key of a caller has a subject of its own in the ledger, whose entries name the runs that were begun for it:
one, unless the key is used again after its time. The entry and the run's first event are written in one
transaction, so that callers who repeat, and servers that die, begin one run. A request without a key gets one that
nobody else has: who asked for a run is written down for all alike.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from trikk.core.digests import digest_json
from trikk.core.errors import Conflict
from trikk.core.values import JSON
from trikk.runs.journals.journal import Cause
from trikk.runs.journals.ledger import Added, Entry, Ledger
from trikk.server.http.routes import Call, Given, who
from trikk.web.refused import Refused

KIND = "request.accepted"
_PRINTABLE = "[!-~]([ -~]*[!-~])?"  # in ASCII; a header field's value has no blanks at its ends
COUNTS_FOR = 7 * 86_400.0  # seconds


class Keyed(Given, frozen=True, rename={"key": "idempotency-key"}):
    """The header field by which a client knows its request again."""

    key: Annotated[str, Meta(pattern=f"^{_PRINTABLE}$", min_length=1, max_length=255)] = ""  # a random UUID, say


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request that begins a run.

    Attributes:
        pipeline: whose run it is.
        asked: what must be the same when the request is repeated.
        caller: who asks.
        key: by which the client knows its request again; "" for none.
        by: whom the run is said to be asked for by.
    """

    pipeline: str
    asked: Mapping[str, JSON]
    caller: str
    key: str = ""
    by: str = ""

    @classmethod
    def of(cls, call: Call, pipeline: str, asked: Mapping[str, JSON]) -> KeyedRequest:
        """The request that a call makes."""
        return cls(pipeline, asked, call.caller, call.fields.key, who(call))

    @property
    def digest(self) -> str:
        """What must be the same, in short."""
        return digest_json(dict(self.asked))

    def subject(self) -> str:
        """Where it is written down; for a request without a key another one at each call."""
        known_by: list[JSON] = [self.caller, self.key or secrets.token_hex(16), bool(self.key)]
        return f"request/{self.pipeline}/{digest_json(known_by)[:32]}"


def run_for(
    ledger: Ledger, request: KeyedRequest, now: float, begin: Callable[[Cause], Added]
) -> tuple[str, bool]:
    """The run that a request gets, and whether it was begun by this call.

    Args:
        ledger: the project's.
        request: what is asked for.
        now: seconds since 1970.
        begin: begins a run, unless that cause has one; called only if the request has none.

    Raises:
        Refused: 409 if the key was used for another request.
    """
    subject = request.subject()
    while True:
        known = ledger.last(subject) if request.key else None
        if known is not None and now < known.at + COUNTS_FOR:
            return _same(known, request), False
        after = 0 if known is None else known.seq
        entry: dict[str, JSON] = {"by": request.by, "request": request.digest}
        try:
            added = begin(Cause(subject, KIND, f"after {after}", entry, after))
        except Conflict:
            continue  # another caller has begun the key's next run since it was read
        if added.repeated:
            return _same(added.entry, request), False
        return str(added.entry.body["run"]), True


def _same(entry: Entry, request: KeyedRequest) -> str:
    body: dict[str, Any] = entry.body
    if body["request"] != request.digest:
        raise Refused(
            409,
            f"the Idempotency-Key was used for another request, which began run {body['run']}",
            next="send a new key with a new request, and the same key only with the same body",
        )
    return str(body["run"])
