"""The registry: versions of models and the aliases that name them, as entries of a ledger.

An alias is a name in an environment that moves from version to version; every move is an entry with who, when
and why. What is decided here is decided on the entries read before, and written only if none came meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from trikk.core.errors import Conflict, UnknownName, UsageError, WrongState
from trikk.core.names import check_name
from trikk.core.values import JSON
from trikk.models import state as s
from trikk.models.state import ModelState, Move
from trikk.models.version import ModelVersion
from trikk.pipeline.model_reference import split_reference
from trikk.runs.journals.ledger import Added, Ledger

_PREFIX = "model/"
# a try that fails has lost to another writer, which got on: so many in a row is a crowd, not an accident
_TRIES = 200
_Decide = Callable[[ModelState], tuple[str, dict[str, JSON]] | None]


class Registry:
    """Models by name, over a ledger. Methods that name a model raise UnknownName if there is no such model.

    Args:
        ledger: where the entries are; every journal is one.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._states: dict[str, ModelState] = {}  # as far as they were read, so that looking again is cheap
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """The names of all models, sorted."""
        return [subject.removeprefix(_PREFIX) for subject in self._ledger.subjects(_PREFIX)]

    def state(self, name: str) -> ModelState:
        """Everything that is known of a model."""
        state = self._read(name)
        if not state.versions:
            names = self.names()
            mend = None if names else "register one: register_model in a pipeline"
            raise UnknownName("model", name, names, next=mend)
        return state

    def versions(self, name: str) -> list[ModelVersion]:
        """All versions of a model, oldest first."""
        return list(self.state(name).versions.values())

    def get(self, name: str, version: int) -> ModelVersion:
        """A version by its number; UnknownName if there is none."""
        return self.state(name).get(version)

    def moves(self, name: str, environment: str | None = None) -> list[Move]:
        """Every move of the model's aliases, oldest first, in one environment or in all."""
        return [move for move in self.state(name).moves if environment in (None, move.environment)]

    def resolve(self, reference: str, environment: str) -> ModelVersion:
        """The version that a reference names now.

        Args:
            reference: "name@alias", "name:3", or "name" for the newest.
            environment: whose aliases.

        Raises:
            UsageError: if it is not a reference.
            UnknownName: if there is no such model or version, or no version holds the alias.
        """
        name, alias, version = split_reference(reference)
        state = self.state(name)
        if version is not None:
            return state.get(version)
        if alias is None:
            return state.versions[max(state.versions)]
        number = state.holder_number(alias, environment)
        if number is None:
            aliases = [f"{name}@{known}" for known in state.aliases(environment)]
            mend = f"trikk models promote {name} VERSION --alias {alias}"
            raise UnknownName("alias", f"{name}@{alias}", aliases, next=None if aliases else mend)
        return state.get(number)

    def holder(self, name: str, alias: str, environment: str, at: float | None = None) -> ModelVersion | None:
        """The version that holds an alias, now or at a time (seconds since 1970); None if none does."""
        state = self.state(name)
        number = state.holder_number(alias, environment, at)
        return None if number is None else state.get(number)

    def register(self, model: ModelVersion, *, identity: str | None = None) -> ModelVersion:
        """Add a version to a model, which begins to exist with its first.

        Args:
            model: the version; its number is left out of account and comes with the result.
            identity: what makes the registration unique among those of the model: a second one with the same
                returns the version that the first one made.

        Raises:
            UsageError: if the name can't name a model.
        """
        check_name("model", model.name)

        def decide(state: ModelState) -> tuple[str, dict[str, JSON]]:
            # Counted on the state that `after=` holds it to: two at once get two numbers.
            return s.VERSION_REGISTERED, {**model.to_json(), "version": len(state.versions) + 1}

        added = self._add(model.name, decide, at=model.created, identity=identity)
        assert added is not None
        return ModelVersion.read(added.entry.body)

    def move(
        self,
        name: str,
        alias: str,
        version: int,
        environment: str,
        *,
        by: str,
        why: str,
        at: float,
        identity: str | None = None,
        decision: dict[str, JSON] | None = None,
        expected: tuple[int | None] | None = None,
        guarded: bool | None = None,
        recorded: float | None = None,
    ) -> Move | None:
        """Move an alias to a version, or request it where the alias requires approval.

        Args:
            name: the model.
            alias: the alias; it begins to exist with its first move.
            version: the new holder.
            environment: whose alias.
            by: who moves it.
            why: the reason.
            at: seconds since 1970.
            identity: makes it happen once.
            decision: what the reason rests on.
            expected: the holder (or None) on which the caller has decided, as a tuple of one.
            guarded: whether the caller has decided on an alias that requires approval.
            recorded: the time now, where `at` is an earlier one that the move is told to count from.

        Returns:
            The move, its `state` "moved" or "requested"; None if the version holds the alias already.

        Raises:
            UnknownName: if there is no such version.
            Conflict: if the holder is another than expected, or approval is required now and was not, or no more.
            UsageError: if it is told to count from a time to come, or from before a move to another version.
        """
        check_name("alias", alias)
        check_name("environment", environment)

        def decide(state: ModelState) -> tuple[str, dict[str, JSON]] | None:
            state.get(version)
            now = state.holder_number(alias, environment)
            moves = state.moves_of(alias, environment)
            if recorded is not None:
                _check_counts_from(moves, name, version, at, recorded)
            # Told to count from an earlier time, it changes who held the alias then, though not who holds it now.
            if now == version and (recorded is None or moves[-1].at <= at):
                return None
            asks = (environment, alias) in state.guarded
            _check_decided_on(f"{name}@{alias}", expected, now, guarded, asks=asks)
            body = _body(alias, environment, by, why, version=version, decision=decision)
            if recorded is not None:
                body["recorded"] = recorded
            return (s.ALIAS_REQUESTED if asks else s.ALIAS_MOVED), body

        return self._move(name, decide, at=at, identity=identity)

    def rollback(
        self, name: str, alias: str, environment: str, *, by: str, why: str, at: float, identity: str | None = None
    ) -> Move:
        """Return an alias to the version that held it before; again, to the one before that.

        It needs no approval, since what it returns to has had one.

        Raises:
            WrongState: if there is no former holder.
        """

        def decide(state: ModelState) -> tuple[str, dict[str, JSON]]:
            holders = state.holders.get((environment, alias), [])
            if len(holders) < 2:
                standing = f"has been held by version {holders[0]} only" if holders else "is held by no version"
                raise WrongState(
                    f"{name}@{alias} {standing} in {environment}: there is nothing to return to",
                    next=f"move it by hand: trikk models promote {name} VERSION --alias {alias}",
                )
            return s.ALIAS_RETURNED, _body(alias, environment, by, why, version=holders[-2])

        move = self._move(name, decide, at=at, identity=identity)
        assert move is not None
        return move

    def require_approval(
        self, name: str, alias: str, environment: str, *, by: str, why: str, at: float, required: bool = True
    ) -> bool:
        """Let an alias be moved only with approval, or (required=False) without; False if it was so before."""
        check_name("alias", alias)
        check_name("environment", environment)

        def decide(state: ModelState) -> tuple[str, dict[str, JSON]] | None:
            if ((environment, alias) in state.guarded) == required:
                return None
            return s.APPROVAL_SET, _body(alias, environment, by, why, required=required)

        self.state(name)
        return self._add(name, decide, at=at) is not None

    def approve(self, name: str, alias: str, environment: str, *, by: str, why: str, at: float) -> Move:
        """Let the move that waits happen.

        Raises:
            WrongState: if none waits.
        """

        def decide(state: ModelState) -> tuple[str, dict[str, JSON]]:
            request = state.pending.get((environment, alias))
            if request is None:
                raise WrongState(
                    f"no move of {name}@{alias} waits for approval in {environment}", next=f"trikk models {name}"
                )
            return s.ALIAS_APPROVED, _body(alias, environment, by, why, request=request.seq)

        move = self._move(name, decide, at=at)
        assert move is not None
        return move

    def decided(self, name: str, identity: str) -> Move | None:
        """The move or request that was made under an identity, if there is one."""
        state = self._read(name)
        entry = state.identities.get(identity)
        return None if entry is None else state.move_of(entry.seq)

    def _move(self, name: str, decide: _Decide, *, at: float, identity: str | None = None) -> Move | None:
        self.state(name)
        added = self._add(name, decide, at=at, identity=identity)
        return None if added is None else self._read(name).move_of(added.entry.seq)

    def _add(self, name: str, decide: _Decide, *, at: float, identity: str | None = None) -> Added | None:
        """Add what `decide` makes of the state, unless the identity is there or it makes nothing."""
        for _ in range(_TRIES):
            # the identity first: an attempt that was cut off after its write gets what it made, whatever holds now
            state = self._read(name)
            if identity is not None and identity in state.identities:
                return Added(state.identities[identity], True)
            change = decide(state)
            if change is None:
                return None
            kind, body = change
            try:
                return self._ledger.add(_subject(name), kind, body, at=at, identity=identity, after=state.seq)
            except Conflict:
                continue
        raise Conflict(f"model {name} is being changed by many at once", next="try again")

    def _read(self, name: str) -> ModelState:
        subject = _subject(name)
        with self._lock:
            known = self._states.get(name) or ModelState(name)
            # only what is new is read; a state is never changed in place, since others may still use it
            newer = self._ledger.entries(subject, after=known.seq)
            if newer:
                known = self._states[name] = known.after(newer)
            return known


def _check_decided_on(
    alias: str, expected: tuple[int | None] | None, now: int | None, guarded: bool | None, *, asks: bool
) -> None:
    """Raise Conflict where the caller has decided on a holder, or on a need of approval, that is no more."""
    if expected is not None and expected[0] != now:
        raise Conflict(f"{alias} has moved from version {expected[0]} to {now} meanwhile", next="decide again")
    if guarded is not None and guarded != asks:
        raise Conflict(f"whether {alias} requires approval has changed meanwhile", next="decide again")


def _check_counts_from(moves: Sequence[Move], name: str, version: int, at: float, now: float) -> None:
    """Whether a move may count from a time: what others have decided since then stays true."""
    if at > now:
        raise UsageError("a promotion can't take effect in the future", next="give an earlier time")
    later = next((move for move in moves if move.at > at and move.version != version), None)
    if later is not None:
        moment = datetime.fromtimestamp(later.at, UTC).isoformat(" ", "seconds")
        raise UsageError(
            f"{name}@{later.alias} has moved to version {later.version} since then, at {moment}",
            next="give a time after that, so that who has held it stays as it was",
        )


def _subject(name: str) -> str:
    return _PREFIX + check_name("model", name)


def _body(alias: str, environment: str, by: str, why: str, **more: Any) -> dict[str, JSON]:
    return {"alias": alias, "environment": environment, "by": by, "why": why, **more}
