"""The port's methods over SQL, once for both databases; what differs is in `sqlite` and `postgres`.

The statements are data: `sql/*.sql`, with `:name` for a value.
"""

# ruff: noqa: D102 - the methods are those of the port, described there

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from trikk.core.errors import JournalError, TrikkError
from trikk.core.names import check_name
from trikk.core.values import JSON
from trikk.runs.events import EventKind
from trikk.runs.journals import journal as port
from trikk.runs.journals import sql_rows as sqlrows
from trikk.runs.journals import sql_text as sqltext
from trikk.runs.journals.journal import FOUND_AT_MOST, Cause, Event, Journal, RunRow
from trikk.runs.journals.lease import Holder, Lease, check_free
from trikk.runs.journals.ledger import Added
from trikk.runs.journals.projection import first_row, kept, row_after
from trikk.runs.journals.server_beats import Server
from trikk.runs.journals.sql_ledger import NewEntry, SqlLedger

_EVERYTHING = 1 << 62
_SHOWN_IDS = 50
_AT_ONCE = 1000  # rows


class _Creation:
    """A run that is to be created, checked before any transaction begins."""

    def __init__(self, run: str, pipeline: str, body: dict[str, JSON], at: float) -> None:
        self.run, self.at = check_name("run", run), at
        port.check_plain("a pipeline's name", pipeline)
        self.body = {**body, "pipeline": pipeline}
        self.text = port.dump(self.body)


class SqlJournal(SqlLedger, Journal, ABC):
    """A journal in an SQL database, with a connection for each thread of each process."""

    _per_thread: Callable[[], Any] = threading.local  # makes what a thread finds its connection in

    def __init__(self, statements: dict[str, str]) -> None:
        self._sql = statements
        self._open: list[tuple[threading.Thread, Any]] = []
        self._inherited: list[Any] = []
        self._local = self._per_thread()
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._closed = False

    # ---- what a database provides

    errors: type[Exception] | tuple[type[Exception], ...]
    begin: str  # a transaction that writes
    snapshot: str  # one that reads, and sees one moment
    mark: str  # how a named value is written
    with_number = ""  # what an INSERT says that brings the number of its row
    schema = "main"

    @abstractmethod
    def _connect(self) -> Any:
        """A new connection in autocommit mode, its schema ready."""

    @abstractmethod
    def _failed(self, error: Exception) -> JournalError:
        """A database's error in words."""

    @abstractmethod
    def _add_event(self, connection: Any, values: dict[str, Any]) -> int:
        """Insert one event and return its number."""

    def _stream(self, connection: Any, text: str, values: dict[str, Any] | None = None) -> Iterable[sqlrows.Row]:
        """A statement's rows one by one."""
        return connection.execute(text, values or {})  # type: ignore[no-any-return]

    def _is_lost(self, connection: Any) -> bool:  # noqa: ARG002
        """Whether the database has gone away from a connection."""
        return False

    # ---- connections and transactions

    def _connection(self) -> Any:
        if self._pid != os.getpid():  # a connection that two processes use mixes up what they say
            self._leave_parent()
        connection = getattr(self._local, "connection", None)
        if connection is None:
            if self._closed:
                raise JournalError("the journal is closed")
            connection = self._connect()
            self._local.connection = connection
            with self._lock:
                orphaned = [one for thread, one in self._open if not thread.is_alive()]
                self._open = [pair for pair in self._open if pair[0].is_alive()]
                self._open.append((threading.current_thread(), connection))
            for one in orphaned:
                one.close()
        return connection

    def _leave_parent(self) -> None:
        """After a fork: keep the parent's connections, unused and unclosed, and begin anew."""
        self._inherited.append(self._open)
        self._open = []
        self._local = self._per_thread()
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def _first(self, text: str, values: dict[str, Any]) -> Any:
        """Execute what nothing came before; once more on a new connection if the old one was lost."""
        connection = self._connection()
        try:
            return connection.execute(text, values)
        except self.errors:
            if not self._is_lost(connection):
                raise
            self._drop(connection)
            return self._connection().execute(text, values)

    @contextmanager
    def _transaction(self, begin: str | None = None) -> Iterator[Any]:
        try:
            self._first(begin or self.begin, {})
            connection = self._connection()
            yield connection
            connection.execute("COMMIT")
        except BaseException as error:
            self._roll_back()
            if isinstance(error, self.errors):
                raise self._failed(error) from None
            raise

    def _roll_back(self) -> None:
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            try:
                connection.execute("ROLLBACK")
            except self.errors:
                self._drop(connection)

    def _drop(self, connection: Any) -> None:
        """Close a connection that no longer serves; the next call opens another."""
        with self._lock:
            self._open = [pair for pair in self._open if pair[1] is not connection]
        self._local.connection = None
        connection.close()

    @contextmanager
    def whole(self, *, write: bool = False) -> Iterator[Any]:
        """A connection that sees all tables as they are at one moment, for who copies a journal row by row.

        Args:
            write: nobody else writes until the block ends, and then all or nothing of it is there.

        Raises:
            JournalError: if the database refuses, in the block as well.
        """
        with self._transaction(self.begin if write else self.snapshot) as connection:
            if write:
                self._alone(connection)
            yield connection

    def _alone(self, connection: Any) -> None:
        """Keep all others from writing until the transaction ends."""

    def numbered(self, connection: Any) -> None:
        """Number the next event, entry and cached result after those that were written with their numbers."""

    def _read(self, name: str, **values: Any) -> list[Any]:
        return self._select(self._sql[name], values)

    def _select(self, text: str, values: dict[str, Any]) -> list[Any]:
        try:
            return list(self._first(text, values).fetchall())
        except self.errors as error:
            raise self._failed(error) from None

    def close(self) -> None:
        if self._pid != os.getpid():
            self._leave_parent()
        self._closed = True
        with self._lock:
            pairs, self._open = self._open, []
        self._local = self._per_thread()
        for _, connection in pairs:
            connection.close()

    # ---- events

    def create(self, run: str, pipeline: str, body: dict[str, JSON], *, at: float) -> Event:
        creation = _Creation(run, pipeline, body, at)
        with self._transaction() as connection:
            return self._create(connection, creation)

    def create_once(self, run: str, pipeline: str, body: dict[str, JSON], cause: Cause, *, at: float) -> Added:
        creation = _Creation(run, pipeline, body, at)
        new = NewEntry(cause.subject, cause.kind, {**cause.entry, "run": run}, at, cause.identity, cause.after)
        with self._transaction() as connection:
            added = self._add(connection, new)
            if not added.repeated:
                self._create(connection, creation)
        return added

    def _create(self, connection: Any, creation: _Creation) -> Event:
        run, body, at = creation.run, creation.body, creation.at
        event, chain = self._insert(connection, None, run, EventKind.RUN_CREATED, body, creation.text, at)
        values = {"seq": event.seq, "chain": chain, **sqlrows.columns(first_row(event))}
        if connection.execute(self._sql["add_run"], values).rowcount != 1:
            raise port.run_exists(run)
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
        return self.append_many(run, [(kind, body)], at=at, lease=lease, after=after)[0]

    def append_many(
        self,
        run: str,
        events: Sequence[tuple[str, dict[str, JSON]]],
        *,
        at: float,
        lease: Lease | None = None,
        after: int | None = None,
    ) -> list[Event]:
        port.check_kinds(kind for kind, _ in events)
        texts = [port.dump(body) for _, body in events]
        with self._transaction() as connection:
            row, chain = self._locked(connection, run)
            before = row
            # Inside the transaction, with the run's row held: between a check before it and the write another
            # driver could take the run, and both would write.
            if lease is not None:
                self._check_lease(connection, run, lease)
            if after is not None and self._last_seq(connection, run) > after:
                raise port.changed_meanwhile(f"run {run}")
            appended = []
            for (kind, body), text in zip(events, texts, strict=True):
                event, chain = self._insert(connection, chain, run, kind, body, text, at)
                row = row_after(row, event)
                appended.append(event)
            if row is not before:
                connection.execute(self._sql["change_run"], sqlrows.columns(row))
        return appended

    def events(self, run: str, *, after: int = 0, limit: int | None = None) -> list[Event]:
        self._known(run)
        rows = self._read("events", run=run, after=after, limit=_EVERYTHING if limit is None else limit)
        if not rows:
            self.row(run)
        # A chain can be followed from its beginning only; looks at what is new read a few events many times.
        if after == 0 and (sentence := sqlrows.broken_chain(run, rows)):
            raise JournalError(
                sentence, next="restore a copy of the journal; `trikk doctor` names all that is damaged"
            )
        return sqlrows.events(run, (row[1:-1] for row in rows))

    def has_event(self, run: str, kind: str) -> bool:
        self._known(run)
        if self._read("first_of_kind", run=run, kind=kind):
            return True
        self.row(run)
        return False

    def ends(self, *, after: int) -> tuple[list[Event], int]:
        until = int(self._read("newest_event")[0][0])
        rows = self._read("run_ends", after=after, until=until) if until > after else []
        return [event for run, *row in rows for event in sqlrows.events(run, [tuple(row)])], until

    def position(self) -> tuple[int, int]:
        events, entries = self._read("position")[0]
        return int(events), int(entries)

    def last_seq(self, run: str) -> int:
        self._known(run)
        seq = self._read("last_seq", run=run)[0][0]
        if seq is None:
            raise self._unknown(run)
        return int(seq)

    def forget(self, run: str, *, at: float) -> None:
        with self._transaction() as connection:
            row, _ = self._locked(connection, run)
            if row.forgotten:
                return
            (first,) = connection.execute(self._sql["first_chain"], {"run": run}).fetchone()
            epoch, lease = self._lease(connection, run)
            check_free(lease, Holder.current(), at)
            if lease is not None:
                connection.execute(self._sql["release_lease"], {"run": run, "epoch": epoch})
            body = kept(row)
            # What lies between is dropped, so that the chain goes from the first event to this one.
            event, _ = self._insert(connection, first, run, EventKind.RUN_FORGOTTEN, body, port.dump(body), at)
            connection.execute(self._sql["change_run"], sqlrows.columns(row_after(row, event)))
            connection.execute(
                self._sql["drop_events"], {"run": run, "before": event.seq, "keep": str(EventKind.RUN_CREATED)}
            )

    # ---- rows

    def _seq_of(self, run: str) -> int:
        self._known(run)
        rows = self._read("place", run=run)
        if not rows:
            raise self._unknown(run)
        return int(rows[0][0])

    def row(self, run: str) -> RunRow:
        self._known(run)
        rows = self._read("run", run=run)
        if not rows:
            raise self._unknown(run)
        return sqlrows.rows(rows)[0]

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
        ends = {name: self._seq_of(run) for name, run in (("before", before), ("after", after)) if run is not None}
        where, values = sqltext.where(pipeline, state, self.mark, ends)
        order = "DESC" if after is None else "ASC"
        values |= {"limit": _EVERYTHING if limit is None else limit, "offset": offset}
        with sqlrows.collector_paused():
            text = self._sql["runs"].replace("$where", where).replace("$order", order)
            return sqlrows.rows(self._select(text, values))

    def each_run(self, *, pipeline: str | None = None, state: str | None = None) -> Iterator[RunRow]:
        where, values = sqltext.where(pipeline, state, self.mark)
        values |= {"limit": _EVERYTHING, "offset": 0}
        with self._transaction(self.snapshot) as connection:
            text = self._sql["runs"].replace("$where", where).replace("$order", "DESC")
            rows = iter(self._stream(connection, text, values))
            while part := list(islice(rows, _AT_ONCE)):
                yield from sqlrows.rows(part)

    def count(self, *, pipeline: str | None = None, state: str | None = None) -> int:
        where, values = sqltext.where(pipeline, state, self.mark)
        return int(self._select(self._sql["count"].replace("$where", where), values)[0][0])

    def find(self, prefix: str) -> list[str]:
        if not prefix:
            return [run for (run,) in self._read("recent", limit=FOUND_AT_MOST)]
        if not port.is_run_id(prefix):
            return []
        # Ids are ASCII below DEL, so that all that begin with the prefix are in this range.
        rows = self._read("find", low=prefix, high=prefix + "\x7f", limit=FOUND_AT_MOST)
        return [run for (run,) in rows]

    # ---- leases

    def acquire(self, run: str, holder: Holder, *, ttl: float, now: float) -> Lease:
        with self._transaction() as connection:
            self._locked(connection, run)
            epoch, current = self._lease(connection, run)
            check_free(current, holder, now)
            lease = Lease(run, epoch + 1, holder, now + ttl, now)
            values = {"run": run, "epoch": lease.epoch, "expires": lease.expires, "since": now}
            values |= {"host": holder.host, "boot": holder.boot, "pid": holder.pid, "started": holder.started}
            connection.execute(self._sql["put_lease"], values)
        return lease

    def renew(self, lease: Lease, *, ttl: float, now: float) -> Lease:
        values = {"run": lease.run, "epoch": lease.epoch, "expires": now + ttl}
        with self._transaction() as connection:
            if connection.execute(self._sql["renew_lease"], values).rowcount != 1:
                raise port.lease_lost(lease)
        return Lease(lease.run, lease.epoch, lease.holder, now + ttl, lease.since)

    def release(self, lease: Lease) -> None:
        with self._transaction() as connection:
            connection.execute(self._sql["release_lease"], {"run": lease.run, "epoch": lease.epoch})

    def lease(self, run: str) -> Lease | None:
        self.row(run)
        return sqlrows.lease(run, self._read("lease", run=run))[1]

    def leases(self) -> dict[str, Lease]:
        return {run: lease for run, *row in self._read("leases") if (lease := sqlrows.lease(run, [row])[1])}

    # ---- servers

    def beat(self, server: Server) -> None:
        port.check_plain("a server's id", server.id)
        values = sqlrows.server_columns(server)
        with self._transaction() as connection:
            connection.execute(self._sql["beat"], values)

    def leave(self, server: str, *, at: float) -> None:
        with self._transaction() as connection:
            connection.execute(self._sql["leave"], {"id": server, "at": at})

    def servers(self) -> list[Server]:
        return [sqlrows.server(row) for row in self._read("servers")]

    def drop_servers(self, before: float) -> None:
        with self._transaction() as connection:
            connection.execute(self._sql["drop_servers"], {"before": before})

    # ---- the index of step results

    def cache_get(self, key: str) -> dict[str, JSON] | None:
        if not port.is_plain(key):
            return None
        return sqlrows.body(self._read("cache_get", key=key))

    def cache_put(self, key: str, pipeline: str, step: str, body: dict[str, JSON], *, at: float) -> None:
        for described, text in (("a key", key), ("a pipeline's name", pipeline), ("a step's name", step)):
            port.check_plain(described, text)
        values = {"key": key, "pipeline": pipeline, "step": step, "at": at, "body": port.dump(body)}
        with self._transaction() as connection:
            connection.execute(self._sql["cache_put"], values)

    def cache_latest(self, pipeline: str, step: str) -> dict[str, JSON] | None:
        if not (port.is_plain(pipeline) and port.is_plain(step)):
            return None
        return sqlrows.body(self._read("cache_latest", pipeline=pipeline, step=step))

    # ---- damage

    def check(self) -> list[str]:
        with self._transaction(self.snapshot) as connection:
            every_run = connection.execute(self._sql["every_run"]).fetchall()
            damage = list(sqlrows.compare(self._stream(connection, self._sql["every_event"]), every_run))
            heads = dict(connection.execute(self._sql["every_head"]).fetchall())
            entries = self._stream(connection, self._sql["every_entry"])
            return [*damage, *sqlrows.compare_entries(entries, heads)]

    def unchecked(self) -> int:
        return int(self._read("unchecked")[0][0])

    def _chain_all(self, connection: Any) -> None:
        """Give checksums to all that an earlier version wrote, in the transaction that migrates it."""
        for (run,) in connection.execute(self._sql["every_run_id"]).fetchall():
            last = None
            for _, seq, kind, at, body, _ in connection.execute(
                self._sql["events"], {"run": run, "after": 0, "limit": _EVERYTHING}
            ).fetchall():
                last = sqlrows.link(last, run, kind, at, body)
                connection.execute(self._sql["put_event_chain"], {"seq": seq, "chain": last})
            connection.execute(self._sql["put_chain"], {"run": run, "chain": last})
        for (subject,) in connection.execute(self._sql["every_subject"]).fetchall():
            last = None
            for seq, kind, at, body, identity in connection.execute(
                self._sql["entries"], {"subject": subject, "after": 0}
            ).fetchall():
                last = sqlrows.link(last, subject, kind, at, body, identity)
                connection.execute(self._sql["put_entry_chain"], {"seq": seq, "chain": last})
            connection.execute(self._sql["put_head"], {"subject": subject, "chain": last})

    # ---- helpers

    def _known(self, run: str) -> None:
        if not port.is_run_id(run):
            raise self._unknown(run)

    def _unknown(self, run: str) -> TrikkError:
        return port.unknown_run(run, [one for (one,) in self._read("recent", limit=_SHOWN_IDS)])

    def _locked(self, connection: Any, run: str) -> tuple[RunRow, str | None]:
        """The run's row, nobody else's until the transaction's end, and the checksum of its last event."""
        rows = connection.execute(self._sql["lock_run"], {"run": run}).fetchall() if port.is_run_id(run) else []
        if not rows:
            raise self._unknown(run)
        return sqlrows.rows([rows[0][:-1]])[0], rows[0][-1]

    def _lease(self, connection: Any, run: str) -> tuple[int, Lease | None]:
        return sqlrows.lease(run, connection.execute(self._sql["lease"], {"run": run}).fetchall())

    def _check_lease(self, connection: Any, run: str, lease: Lease) -> None:
        _, current = self._lease(connection, run)
        if current is None or (run, current.epoch) != (lease.run, lease.epoch):
            raise port.lease_lost(lease)

    def _last_seq(self, connection: Any, run: str) -> int:
        return int(connection.execute(self._sql["last_seq"], {"run": run}).fetchone()[0])

    def _insert(
        self, connection: Any, before: str | None, run: str, kind: str, body: dict[str, JSON], text: str, at: float
    ) -> tuple[Event, str]:
        """Add an event after the one with the checksum `before`; returns it with its own checksum."""
        kind = str(kind)  # drivers take a text as it is; of an enum they would ask how to adapt it
        chain = sqlrows.link(before, run, kind, at, text)
        seq = self._add_event(
            connection, {"run": run, "kind": kind, "at": float(at), "body": text, "chain": chain}
        )
        return Event(seq, run, kind, float(at), body), chain
