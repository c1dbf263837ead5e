"""The journal's port: an append-only list of events, from which everything else about a run is folded.

Resume, audit, live view and crash recovery read the same list. Three things implement the port
(`SqliteJournal`, `PostgresJournal`, `MemoryJournal`) and one contract suite runs against all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import msgspec

from trikk.core.errors import Conflict, JournalError, LeaseLost, RunExists, UnknownName, UsageError
from trikk.core.names import check_name
from trikk.core.record import Record
from trikk.core.text import shorten
from trikk.core.values import JSON
from trikk.runs.events import EventKind
from trikk.runs.journals.lease import Holder, Lease
from trikk.runs.journals.ledger import Added, Ledger
from trikk.runs.journals.server_beats import ServerBeats
from trikk.runs.states import RunStatus

FOUND_AT_MOST = 10


class Event(Record, frozen=True):
    """One thing that happened to one run.

    Attributes:
        seq: increases through a journal; a run's events are in this order, never in that of `at`.
        run: the run's id.
        kind: such as `run.created` or `step.succeeded`.
        at: wall time in seconds since 1970; only recorded.
        body: whatever belongs to that kind.
    """

    seq: int
    run: str
    kind: str
    at: float
    body: dict[str, JSON]


class RunRow(Record, frozen=True):
    """One line of `trikk runs`: the fold of a run's events, kept in the transaction of each event.

    Attributes:
        id: the run's id.
        pipeline: the pipeline's name.
        state: what it is at.
        created: wall time in seconds since 1970, as are `started` (first start) and `ended`.
        parameters: as the `run.created` event has them.
        origin: why the run exists, such as `{"kind": "replay", "of": run}`.
        error: one line, for a run that failed.
        forgotten: clean-up has dropped the run's events.
    """

    id: str
    pipeline: str
    state: RunStatus
    created: float
    started: float | None
    ended: float | None
    parameters: dict[str, JSON]
    origin: dict[str, JSON]
    error: str | None
    forgotten: bool = False


class Cause(Record, frozen=True):
    """What calls for one run, as an entry of the ledger that names the run.

    Attributes:
        subject: where the entry is.
        kind: of the entry.
        identity: of the cause within its subject.
        entry: the entry's body, to which `run` is added.
        after: `seq` of the subject's last entry that was read, as of `Ledger.add`; None if that does not matter.
    """

    subject: str
    kind: str
    identity: str
    entry: dict[str, JSON] = msgspec.field(default_factory=dict)
    after: int | None = None


class Journal(Ledger, ServerBeats, Protocol):
    """Where events are kept. Every method raises JournalError if the journal can't be read or written.

    A method that names a run raises UnknownName if there is no such run. A journal may be used by
    several threads, and after a fork by both processes.
    """

    def create(self, run: str, pipeline: str, body: dict[str, JSON], *, at: float) -> Event:
        """Begin a run with the event `run.created`; its body gets `pipeline`, the row its `parameters`, `origin`.

        Raises:
            RunExists: if the id is taken.
            UsageError: if the id, the pipeline's name or the body can't be stored.
        """

    def create_once(self, run: str, pipeline: str, body: dict[str, JSON], cause: Cause, *, at: float) -> Added:
        """Begin the run that a cause calls for, unless it has one: entry and run in one transaction.

        Nobody finds the one without the other, so that of many callers, and after a kill at any moment, the cause
        has one run.

        Args:
            run: the id of the run, if this call is the first.
            pipeline: the pipeline's name.
            body: as of `create`.
            cause: the cause.
            at: wall time in seconds since 1970, of both.

        Returns:
            The entry; if it is `repeated`, no run was begun, and its body names the run that there is.

        Raises:
            Conflict: if its subject has a later entry than the cause says.
            RunExists: if the id is taken.
            UsageError: if something can't be stored.
        """

    def append(
        self,
        run: str,
        kind: str,
        body: dict[str, JSON],
        *,
        at: float,
        lease: Lease | None = None,
        after: int | None = None,
    ) -> Event:
        """Append one event in a transaction of its own, which is over when this returns.

        With `after`, the `seq` of the run's last event that the caller has read, it is a decision by that state.

        Raises:
            Conflict: if the run has a later event than `after`; nothing was written.
            LeaseLost: if `lease` is given and another driver has taken the run, or it was released;
                checked inside the transaction, so that a driver that was overtaken writes nothing.
            UsageError: if the kind or the body can't be stored.
        """

    def append_many(
        self,
        run: str,
        events: Sequence[tuple[str, dict[str, JSON]]],
        *,
        at: float,
        lease: Lease | None = None,
        after: int | None = None,
    ) -> list[Event]:
        """Append (kind, body) pairs in one transaction: all or none. Raises as `append` does."""

    def events(self, run: str, *, after: int = 0, limit: int | None = None) -> list[Event]:
        """The run's events with `seq` greater than `after`, in order; the first so many, or all."""

    def has_event(self, run: str, kind: str) -> bool:
        """Whether the run has an event of a kind: no body is read, so it costs a small part of `events`."""

    def ends(self, *, after: int) -> tuple[list[Event], int]:
        """The events with `seq` greater than `after` by which runs ended, in order, and the newest `seq` of all.

        It costs as much as has happened since. Where several machines write (PostgreSQL), an event may be
        committed after one with a greater `seq`: who follows looks again at what is a few seconds old.
        """

    def position(self) -> tuple[int, int]:
        """The newest `seq` of all events, and of all entries of the ledger: whether anything happened, cheaply."""

    def last_seq(self, run: str) -> int:
        """The `seq` of the run's last event: a cheap way to see that something happened."""

    def row(self, run: str) -> RunRow:
        """The run's line."""

    def runs(
        self,
        *,
        pipeline: str | None = None,
        state: str | None = None,
        limit: int | None = 20,
        offset: int = 0,
        before: str | None = None,
        after: str | None = None,
    ) -> list[RunRow]:
        """Lines of runs, the newest created first; `limit=None` for all.

        With `before`, a run's id, those that were created before it: a page that runs created meanwhile don't
        shift, and that costs the same however far back it is, unlike one by `offset`. With `after`, those that
        were created after that run, the oldest first, at the same cost.

        Raises:
            UnknownName: if there is no run `before` or `after`.
        """

    def each_run(self, *, pipeline: str | None = None, state: str | None = None) -> Iterator[RunRow]:
        """All lines that `runs` would give, one by one, as they were at one moment.

        No other method may be called by the same thread until the last one was taken.
        """

    def count(self, *, pipeline: str | None = None, state: str | None = None) -> int:
        """How many runs there are."""

    def find(self, prefix: str) -> list[str]:
        """At most ten ids that begin with `prefix`, the newest created first."""

    def acquire(self, run: str, holder: Holder, *, ttl: float, now: float) -> Lease:
        """Take the run for `holder` until `now + ttl` (wall time, seconds), with an epoch greater than any before.

        Raises:
            LeaseHeld: if another driver has it, by the rules of `lease.may_take`.
        """

    def renew(self, lease: Lease, *, ttl: float, now: float) -> Lease:
        """The same lease until `now + ttl`.

        Raises:
            LeaseLost: if it was taken over or released.
        """

    def release(self, lease: Lease) -> None:
        """Give the run back; nothing happens if the lease was lost before."""

    def lease(self, run: str) -> Lease | None:
        """Who has the run, be the lease expired or not; None if nobody."""

    def leases(self) -> dict[str, Lease]:
        """By run the lease of each that is queued or running, expired or not; none of a run that nobody has."""

    def forget(self, run: str, *, at: float) -> None:
        """Drop the run's events but `run.created`, and append `run.forgotten`, which keeps what the row says.

        Raises:
            LeaseHeld: if a driver has the run.
        """

    def cache_get(self, key: str) -> dict[str, JSON] | None:
        """What `cache_put` stored under that key."""

    def cache_put(self, key: str, pipeline: str, step: str, body: dict[str, JSON], *, at: float) -> None:
        """Store a step's result under its key, in place of what was there."""

    def cache_latest(self, pipeline: str, step: str) -> dict[str, JSON] | None:
        """What was stored last for that step of that pipeline, under whatever key."""

    def check(self) -> list[str]:
        """What is damaged, as sentences; empty if nothing is. Reads everything, so it takes its time."""

    def unchecked(self) -> int:
        """How many events and entries have no checksum: an earlier trikk wrote them while this one was in use."""

    def close(self) -> None:
        """Give the connections back. Any other method raises JournalError afterwards."""


def dump(body: object) -> str:
    """A body as JSON in plain ASCII, so that any text at all (NUL, lone surrogates) fits any database.

    Raises:
        UsageError: if it is not JSON.
    """
    if not isinstance(body, dict):
        raise UsageError(f"a body must be a dict, not {type(body).__name__}")
    try:
        return json.dumps(body, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(
            f"a body can't be written as JSON: {error}", next="encode it with values.encode"
        ) from None


def load(text: str) -> dict[str, JSON]:
    """The body that `dump` wrote; JournalError if the text is damaged."""
    try:
        body = msgspec.json.decode(text)  # twice as fast as json, on a watch's many thousand figures
    except (msgspec.MsgspecError, TypeError, RecursionError):
        try:
            body = json.loads(text)  # reads NaN, infinities and lone surrogates, which msgspec does not
        except (ValueError, TypeError, RecursionError):
            body = None
    if not isinstance(body, dict):
        raise damaged()
    return body


def damaged() -> JournalError:
    """The error for a record that is not JSON."""
    return JournalError("a record in the journal is damaged", next="`trikk doctor` names the run")


def is_plain(text: str) -> bool:
    """Whether a kind, a pipeline's name or a key can be stored: not empty, nothing but printable characters."""
    return text != "" and text.isprintable()


def check_plain(described: str, text: str) -> None:
    """Raise UsageError unless `is_plain(text)`."""
    if not is_plain(text):
        raise UsageError(f"{text[:60]!r} can't be {described}", next="use printable characters")


def check_kinds(kinds: Iterable[str]) -> None:
    """Raise UsageError if one of these kinds may not be appended."""
    for kind in kinds:
        check_plain("a kind of event", kind)
        if kind in (EventKind.RUN_CREATED, EventKind.RUN_FORGOTTEN):
            raise UsageError(f"{kind} is written by the journal itself")


def check_entry(subject: str, kind: str, identity: str | None) -> None:
    """Raise UsageError unless an entry may be called so."""
    check_plain("a subject", subject)
    check_plain("a kind of entry", kind)
    if identity is not None:
        check_plain("an identity", identity)


def changed_meanwhile(subject: str) -> Conflict:
    """The error for an entry that was to be added after one that is no longer the last."""
    return Conflict(f"{subject} was changed by somebody else meanwhile", next="look at it again and repeat")


def is_run_id(run: str) -> bool:
    """Whether a run can have that id at all."""
    try:
        check_name("run", run)
    except UsageError:
        return False
    return True


def unknown_run(run: str, recent: Iterable[str]) -> UnknownName:
    """The error for a run that is not there, with those of the recent ids that look like it."""
    recent = list(recent)
    error = UnknownName("run", shorten(run, 60), recent)
    if recent and not error.close:
        error.next = "`trikk runs` lists them"
    return error


def run_exists(run: str) -> RunExists:
    """The error for an id that is taken."""
    return RunExists(f"there is a run {run} already", next="choose another id")


def lease_lost(lease: Lease) -> LeaseLost:
    """The error for a driver whose lease is not the current one."""
    return LeaseLost(
        f"this driver (pid {lease.holder.pid} on {lease.holder.host}) no longer has run {lease.run}",
        next="stop here: another driver has taken it, or it was released",
    )
