"""A model's versions, who held its aliases when, and what waits for approval: the fold of the model's entries.

version.registered   a version, as `ModelVersion.to_json` writes it
alias.moved          alias, environment, version, by, why, decision; recorded, where it counts from another time
alias.returned       alias, environment, version (the holder before the present one), by, why
alias.requested      as alias.moved, where the alias requires approval
alias.approved       alias, environment, request (seq of the request), by, why
approval.set         alias, environment, required, by, why
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from msgspec.structs import replace

from trikk.core.errors import UnknownName
from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.models.version import ModelVersion
from trikk.runs.journals.ledger import Entry

VERSION_REGISTERED = "version.registered"
ALIAS_MOVED = "alias.moved"
ALIAS_RETURNED = "alias.returned"
ALIAS_REQUESTED = "alias.requested"
ALIAS_APPROVED = "alias.approved"
APPROVAL_SET = "approval.set"


class MoveState(StrEnum):
    """What a move has come to."""

    MOVED = "moved"
    RETURNED = "returned"
    """the alias went back to its former holder."""
    REQUESTED = "requested"
    """it waits for approval."""


Place = tuple[str, str]
"""An environment and an alias in it."""


class Move(Record, frozen=True):
    """An alias went to another version, or is asked to."""

    seq: int  # of the entry
    at: float  # seconds since 1970
    state: MoveState  # whether it has happened
    alias: str
    environment: str  # whose alias
    version: int  # the holder from then on
    former: int | None  # the holder before; None if there was none
    by: str  # user@host, or the run
    why: str  # the reason in words
    approved_by: str | None = None  # who approved it, where that was required
    decision: dict[str, JSON] | None = None  # what `promote_if` compared, and how
    recorded: float | None = None  # when it was written down, where it was told to count from another time (`at`)


@dataclass(slots=True)
class ModelState:
    """What is known of one model."""

    name: str  # the model's name
    versions: dict[int, ModelVersion] = field(default_factory=dict)  # by number, oldest first
    # for each environment and alias, all holders that a rollback can return to, the present one last
    holders: dict[Place, list[int]] = field(default_factory=dict)
    moves: list[Move] = field(default_factory=list)  # every move that happened, in order
    # every request, in order; `pending` has those that still wait
    requests: list[Move] = field(default_factory=list)
    # the request that waits, for each environment and alias
    pending: dict[Place, Move] = field(default_factory=dict)
    guarded: set[Place] = field(default_factory=set)  # aliases that require approval
    identities: dict[str, Entry] = field(default_factory=dict)  # the entries that have an identity, by it
    seq: int = 0  # of the last entry

    def after(self, entries: Iterable[Entry]) -> ModelState:
        """The state after these further entries of the model, in order; this one stays as it is."""
        state = ModelState(
            self.name,
            dict(self.versions),
            {place: list(holders) for place, holders in self.holders.items()},
            list(self.moves),
            list(self.requests),
            dict(self.pending),
            set(self.guarded),
            dict(self.identities),
            self.seq,
        )
        for entry in entries:
            state.take_in(entry)
        return state

    def take_in(self, entry: Entry) -> None:
        """Take one more entry in; kinds that it does not know change nothing."""
        self.seq = entry.seq
        if entry.identity is not None:
            # also of kinds that this build does not know, so that an identity is never used twice
            self.identities[entry.identity] = entry
        body: Mapping[str, Any] = entry.body
        if entry.kind == VERSION_REGISTERED:
            version = ModelVersion.read(body)
            self.versions[version.version] = version
        elif entry.kind in (ALIAS_MOVED, ALIAS_RETURNED, ALIAS_REQUESTED):
            self._alias(entry)
        elif entry.kind == ALIAS_APPROVED:
            request = next(move for move in self.requests if move.seq == body["request"])
            former = self.holder_number(request.alias, request.environment)
            self._moved(
                replace(
                    request,
                    seq=entry.seq,
                    # It counts from the approval, unless it was told from when.
                    at=entry.at if request.recorded is None else request.at,
                    state=MoveState.MOVED,
                    former=former,
                    approved_by=body["by"],
                )
            )
        elif entry.kind == APPROVAL_SET:
            change = self.guarded.add if body["required"] else self.guarded.discard
            change((body["environment"], body["alias"]))

    def _alias(self, entry: Entry) -> None:
        body: Mapping[str, Any] = entry.body
        alias, environment = body["alias"], body["environment"]
        move = Move(
            entry.seq,
            entry.at,
            MoveState(entry.kind.removeprefix("alias.")),
            alias,
            environment,
            body["version"],
            self.holder_number(alias, environment),
            body["by"],
            body["why"],
            decision=body.get("decision"),
            recorded=body.get("recorded"),
        )
        if entry.kind == ALIAS_REQUESTED:
            self.requests.append(move)
            self.pending[(environment, alias)] = move
        else:
            self._moved(move)

    def _moved(self, move: Move) -> None:
        place = (move.environment, move.alias)
        holders = self.holders.setdefault(place, [])
        if move.state is MoveState.RETURNED:
            # The one before holds it again; a second rollback goes one further back.
            holders.pop()
        else:
            holders.append(move.version)
        self.moves.append(move)
        self.pending.pop(place, None)  # it was decided against another holder

    def holder_number(self, alias: str, environment: str, at: float | None = None) -> int | None:
        """The version that holds an alias, now or at a time (seconds since 1970); None if none does."""
        if at is None:
            holders = self.holders.get((environment, alias), [])
            return holders[-1] if holders else None
        earlier = [move.version for move in self.moves_of(alias, environment) if move.at <= at]
        return earlier[-1] if earlier else None

    def moves_of(self, alias: str, environment: str) -> list[Move]:
        """Every move of an alias that happened, in order."""
        return [move for move in self.moves if (move.environment, move.alias) == (environment, alias)]

    def aliases(self, environment: str) -> dict[str, int]:
        """The aliases of an environment and the versions that hold them."""
        return {
            alias: holders[-1] for (where, alias), holders in sorted(self.holders.items()) if where == environment
        }

    def get(self, version: int) -> ModelVersion:
        """A version by its number; UnknownName if there is none."""
        if version not in self.versions:
            raise UnknownName("version", str(version), map(str, self.versions))
        return self.versions[version]

    def move_of(self, seq: int) -> Move | None:
        """The move or request that the entry `seq` made."""
        return next((move for move in [*self.moves, *self.requests] if move.seq == seq), None)


def model_summary(state: ModelState, environment: str) -> dict[str, Any]:
    """A model in a list: what it is, and who holds which alias in an environment."""
    newest = state.versions[max(state.versions)]
    signature = newest.signature
    classes = None if signature is None else signature.classes
    return {
        "name": state.name,
        "environment": environment,
        "versions": len(state.versions),
        "registered": newest.created,
        "task": None if signature is None or signature.task is None else str(signature.task),
        **(classes.to_json() if classes else {"classes": None, "positive": None}),
        "aliases": state.aliases(environment),
        "pending": [m.to_json() for (where, _), m in state.pending.items() if where == environment],
    }


def model_document(state: ModelState, environment: str) -> dict[str, Any]:
    """A model with all its versions and moves."""
    return {
        **model_summary(state, environment),
        "versions": [version.to_json() for version in state.versions.values()],
        "moves": [move.to_json() for move in state.moves],
        "approval": [{"environment": where, "alias": alias} for where, alias in sorted(state.guarded)],
    }


def holders_document(state: ModelState, environment: str, at: float, alias: str | None = None) -> dict[str, Any]:
    """Which version held each alias of an environment, or one of them, at a time (seconds since 1970)."""
    known = sorted({move.alias for move in state.moves if move.environment == environment})
    holders = {name: state.holder_number(name, environment, at) for name in ([alias] if alias else known)}
    return {"name": state.name, "environment": environment, "at": at, "aliases": holders}
