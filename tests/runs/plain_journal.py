"""What a journal should answer, in dicts and lists: the model that the real ones are compared with."""

from __future__ import annotations

import itertools

from msgspec.structs import replace

from trikk.core.errors import TrikkError
from trikk.core.names import check_name
from trikk.core.values import JSON
from trikk.runs.events import EventKind
from trikk.runs.journals import journal as port
from trikk.runs.journals.journal import FOUND_AT_MOST, Event, RunRow
from trikk.runs.journals.lease import Holder, Lease, check_free
from trikk.runs.journals.projection import first_row, fold, kept, row_after
from trikk.runs.states import OVER

_SHOWN_IDS = 50


class PlainJournal:
    """A journal in dicts. Bodies are kept as text, so that no caller shares a dict with it."""

    def __init__(self) -> None:
        self._seq = itertools.count(1)
        self._rows: dict[str, RunRow] = {}  # in order of creation
        self._events: dict[str, list[tuple[int, str, float, str]]] = {}
        self._leases: dict[str, Lease] = {}
        self._epochs: dict[str, int] = {}
        self._cache: dict[str, tuple[str, str, str]] = {}  # in order of storing

    # ---- events

    def create(self, run: str, pipeline: str, body: dict[str, JSON], *, at: float) -> Event:
        check_name("run", run)
        port.check_plain("a pipeline's name", pipeline)
        body = {**body, "pipeline": pipeline}
        text = port.dump(body)
        if run in self._rows:
            raise port.run_exists(run)
        self._events[run] = []
        event = self._add(run, EventKind.RUN_CREATED, body, text, at)
        self._rows[run] = first_row(_copy(event, text))
        return event

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
        port.check_kinds([kind])
        text = port.dump(body)
        row = self.row(run)
        if lease is not None:
            self._check_lease(run, lease)
        if after is not None and self.last_seq(run) > after:
            raise port.changed_meanwhile(f"run {run}")
        event = self._add(run, kind, body, text, at)
        self._rows[run] = row_after(row, event)
        return event

    def events(self, run: str, *, after: int = 0) -> list[Event]:
        self.row(run)
        found = [record for record in self._events[run] if record[0] > after]
        return [Event(seq, run, kind, at, port.load(text)) for seq, kind, at, text in found]

    def last_seq(self, run: str) -> int:
        self.row(run)
        return self._events[run][-1][0]

    def forget(self, run: str, *, at: float) -> None:
        row = self.row(run)
        if row.forgotten:
            return
        check_free(self._leases.get(run), Holder.current(), at)
        self._leases.pop(run, None)
        body = kept(row)
        event = self._add(run, EventKind.RUN_FORGOTTEN, body, port.dump(body), at)
        self._rows[run] = row_after(row, event)
        self._events[run] = [self._events[run][0], self._events[run][-1]]

    # ---- rows

    def row(self, run: str) -> RunRow:
        row = self._rows.get(run)
        if row is None:
            raise self._unknown(run)
        return _own(row)

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
        newest_first = list(reversed(self._rows.values()))
        if after is not None:
            newest_first = newest_first[: newest_first.index(self.row(after))][::-1]
        if before is not None:
            newest_first = newest_first[newest_first.index(self.row(before)) + 1 :]
        found = [row for row in newest_first if pipeline in (None, row.pipeline) and state in (None, row.state)]
        return [_own(row) for row in found[offset : None if limit is None else offset + limit]]

    def count(self, *, pipeline: str | None = None, state: str | None = None) -> int:
        return len(self.runs(pipeline=pipeline, state=state, limit=None))

    def find(self, prefix: str) -> list[str]:
        return [run for run in reversed(self._rows) if run.startswith(prefix)][:FOUND_AT_MOST]

    # ---- leases

    def acquire(self, run: str, holder: Holder, *, ttl: float, now: float) -> Lease:
        self.row(run)
        check_free(self._leases.get(run), holder, now)
        lease = Lease(run, self._epochs.get(run, 0) + 1, holder, now + ttl, now)
        self._epochs[run] = lease.epoch
        self._leases[run] = lease
        return lease

    def renew(self, lease: Lease, *, ttl: float, now: float) -> Lease:
        self._check_lease(lease.run, lease)
        renewed = replace(lease, expires=now + ttl)
        self._leases[lease.run] = renewed
        return renewed

    def release(self, lease: Lease) -> None:
        current = self._leases.get(lease.run)
        if current is not None and current.epoch == lease.epoch:
            del self._leases[lease.run]

    def lease(self, run: str) -> Lease | None:
        self.row(run)
        return self._leases.get(run)

    def leases(self) -> dict[str, Lease]:
        return {run: lease for run, lease in self._leases.items() if self._rows[run].state not in OVER}

    # ---- the index of step results

    def cache_put(self, key: str, pipeline: str, step: str, body: dict[str, JSON], *, at: float) -> None:
        for what, text in (("a key", key), ("a pipeline's name", pipeline), ("a step's name", step)):
            port.check_plain(what, text)
        text = port.dump(body)
        self._cache.pop(key, None)
        self._cache[key] = (pipeline, step, text)

    def cache_latest(self, pipeline: str, step: str) -> dict[str, JSON] | None:
        for of, by, text in reversed(self._cache.values()):
            if (of, by) == (pipeline, step):
                return port.load(text)
        return None

    # ---- the rest

    def check(self) -> list[str]:
        return [
            f"run {run}: its row is not what its events give"
            for run, row in self._rows.items()
            if fold(self.events(run)) != row
        ]

    def _add(self, run: str, kind: str, body: dict[str, JSON], text: str, at: float) -> Event:
        seq = next(self._seq)
        self._events[run].append((seq, kind, float(at), text))
        return Event(seq, run, kind, float(at), body)

    def _check_lease(self, run: str, lease: Lease) -> None:
        current = self._leases.get(run)
        if current is None or (run, current.epoch) != (lease.run, lease.epoch):
            raise port.lease_lost(lease)

    def _unknown(self, run: str) -> TrikkError:
        return port.unknown_run(run, itertools.islice(reversed(self._rows), _SHOWN_IDS))


def _copy(event: Event, text: str) -> Event:
    return replace(event, body=port.load(text))


def _own(row: RunRow) -> RunRow:
    """The row with dicts that the caller may change."""
    return replace(row, parameters=port.load(port.dump(row.parameters)), origin=port.load(port.dump(row.origin)))
