"""A request to start a run, counted once: `Idempotency-Key` for one project, pipeline and caller, for seven days.

Each key of a caller has a subject of its own in the ledger, whose entries name the runs that were begun for it:
one, unless the key is used again after its time. The entry and the run's first event are written in one
transaction, so that callers who repeat, and servers that die, begin one run. A request without a key gets one that
nobody else has: who asked for a run is written down for all alike.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from trikk.core.digests import digest_bytes
from trikk.core.errors import Conflict
from trikk.core.values import JSON, canonical
from trikk.execution.project import Project
from trikk.execution.queued_run import enqueue
from trikk.pipeline.graph import Graph
from trikk.runs.journals.ledger import Entry
from trikk.web.refused import Refused

KIND = "request.accepted"
COUNTS_FOR = 7 * 86_400.0  # seconds
_LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A request to start a run.

    Attributes:
        pipeline: what is to run.
        parameters: as the client gives them, of JSON's kinds.
        caller: who asks.
        key: by which the client knows its request again; "" for none.
    """

    pipeline: str
    parameters: Mapping[str, JSON]
    caller: str
    key: str = ""

    def __post_init__(self) -> None:
        if len(self.key) > _LONGEST_KEY or not (self.key == "" or (self.key.isascii() and self.key.isprintable())):
            problem = f"an Idempotency-Key has 1 to {_LONGEST_KEY} printable ASCII characters"
            raise Refused(400, problem, next="send a random UUID, and the same one when you repeat the request")

    @property
    def digest(self) -> str:
        """What must be the same when the request is repeated."""
        return digest_bytes(canonical({"pipeline": self.pipeline, "parameters": dict(self.parameters)}))

    def subject(self) -> str:
        """Where it is written down; for a request without a key another one at each call."""
        known_by: list[JSON] = [self.caller, self.key or secrets.token_hex(16), bool(self.key)]
        return f"request/{self.pipeline}/{digest_bytes(canonical(known_by))[:32]}"


def run_for(project: Project, graph: Graph | None, request: RunRequest, now: float) -> tuple[str, bool]:
    """The run that a request gets, and whether it was begun by this call.

    Args:
        project: whose run.
        graph: the pipeline as it is now; None if there is none of that name (any more), or the code is broken.
        request: what is asked for.
        now: seconds since 1970.

    Returns:
        The run's id, queued in the journal, and True; or that of the request's earlier run, and False. Without a
        graph, "" if there is no earlier run.

    Raises:
        ParameterError: if a parameter is wrong; nothing was written.
        Refused: 409 if the key was used for another request.
    """
    subject = request.subject()
    known = project.journal.last(subject) if request.key else None
    if known is not None and now < known.at + COUNTS_FOR:
        return _same(known, request), False
    if graph is None:
        return "", False
    after = 0 if known is None else known.seq
    origin: dict[str, JSON] = {"kind": "request", "by": request.caller}
    try:
        added = enqueue(
            project,
            graph,
            request.parameters,
            {**origin, "key": request.key} if request.key else origin,
            subject=subject,
            kind=KIND,
            identity=f"after {after}",
            after=after,
            at=now,
            entry={"by": request.caller, "request": request.digest},
        )
    except Conflict:  # another caller has begun the key's next run since it was read
        return run_for(project, graph, request, now)
    return (_same(added.entry, request), False) if added.repeated else (str(added.entry.body["run"]), True)


def _same(entry: Entry, request: RunRequest) -> str:
    if entry.body.get("request") != request.digest:
        raise Refused(
            409,
            f"the Idempotency-Key was used for another request, which began run {entry.body['run']}",
            next="send a new key with a new request, and the same key only with the same body",
        )
    return str(entry.body["run"])
