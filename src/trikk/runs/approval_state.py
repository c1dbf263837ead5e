"""What people are asked within a run, and what they have decided: the fold of its `approval` events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from trikk.core.values import JSON
from trikk.runs.events import EventKind
from trikk.runs.journals.journal import Event

BY_EXPIRY = "expiry"
"""Who has decided where nobody did in time."""


@dataclass(slots=True)
class ApprovalState:
    """One question of a run, and the decision.

    Attributes:
        step: the step that asks.
        question: in the author's words.
        asked: when it was asked; wall time in seconds since 1970, as are `expires` and `at`.
        shown: what is to be looked at before deciding: values by name, as `values.encode` writes them.
        expires: when it is decided without anybody; None for never.
        on_expiry: how it is decided then, approve or refuse.
        approved: the decision; None as long as there is none.
        by: who has decided, or `BY_EXPIRY`.
        why: in their words.
        at: when.
    """

    step: str
    question: str
    asked: float
    shown: dict[str, JSON] = field(default_factory=dict)
    expires: float | None = None
    on_expiry: str = "refuse"
    approved: bool | None = None
    by: str = ""
    why: str = ""
    at: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether nobody has decided."""
        return self.approved is None

    def has_expired(self, now: float) -> bool:
        """Whether it was open for as long as its author lets it."""
        return self.is_open and self.expires is not None and now >= self.expires

    @property
    def verdict(self) -> str:
        """The decision in words, such as "refused by anna: the error has doubled"; "" as long as there is none."""
        if self.approved is None:
            return ""
        return f"{'approved' if self.approved else 'refused'} by {self.by}" + (f": {self.why}" if self.why else "")

    def to_json(self) -> dict[str, JSON]:
        """The question and the decision as `trikk show --json` prints them."""
        return asdict(self)

    def decide(self, at: float, body: Mapping[str, Any]) -> None:
        """Take a decision in; only the first counts."""
        if self.approved is None:
            self.approved, self.by, self.why, self.at = body["approved"], body["by"], body["why"], at


def asked(at: float, body: Mapping[str, Any]) -> ApprovalState:
    """The question that an `approval.asked` event tells of."""
    expires, on_expiry = body.get("expires"), body.get("on_expiry", "refuse")
    return ApprovalState(body["step"], body["question"], at, body.get("shown", {}), expires, on_expiry)


def by_expiry(approval: ApprovalState) -> dict[str, JSON]:
    """The body of the decision on a question that has expired."""
    why = "nobody had decided in time"
    return {"step": approval.step, "approved": approval.on_expiry == "approve", "by": BY_EXPIRY, "why": why}


def seconds_waited(events: Iterable[Event]) -> float:
    """How long a run had nothing to do but to wait for decisions; what has not come to an end does not count."""
    waited, since = 0.0, None
    for event in events:
        if event.kind == EventKind.RUN_WAITING:
            since = event.at
        elif event.kind == EventKind.RUN_RESUMED and since is not None:
            waited, since = waited + event.at - since, None
    return waited
