"""Rows into a table of a database, once: the write's identity is entered in the transaction that brings the rows.

The identity is that of the step, `run/step`, in a small table `trikk_writes` beside the target. So whether an
attempt that was killed had come to its commit is said by the database itself, the only one that knows.
See docs/decisions/table-writes.md.
"""

# ruff: noqa: S608 - statements are made of names, each quoted by `Target.name`; values go beside them
from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from trikk.core.digests import digest_json, digest_parts
from trikk.core.errors import CodecError, PermanentError, StorageError, TableError, TrikkError, UsageError
from trikk.core.values import JSON, encode
from trikk.runs.context import current_step
from trikk.steps.databases.database_url import resolve
from trikk.steps.databases.sql_columns import check_fit, type_for
from trikk.steps.databases.write_targets import TARGETS, Target
from trikk.storage.frames import rows_of
from trikk.storage.row_batches import batches
from trikk.storage.tables.merge_keys import check_keys
from trikk.storage.tables.types import storable

WRITES = "trikk_writes"
"""The table of identities, in the schema of the table that is written."""
_STAGED = "trikk_rows"
_LONGEST = 63  # bytes of a name that PostgreSQL keeps whole


@dataclass(frozen=True, slots=True)
class SqlWrite:
    """How rows go into a table.

    Attributes:
        table: its name, behind that of its schema if there are two.
        mode: "append", "merge" or "overwrite".
        key: of a merge, the columns that say which row is which.
        where: of an overwrite, the values by column of the rows that are replaced; empty for all.
    """

    table: tuple[str, ...]
    mode: str
    key: tuple[str, ...] = ()
    where: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def checked(cls, table: str, key: Any, mode: str | None, where: Mapping[str, Any] | None) -> SqlWrite:
        """A write as an author has put it.

        Raises:
            UsageError: if a name can't be one, or key, mode and where don't go together.
        """
        parts = tuple(table.split("."))
        if len(parts) > 2 or any(not p or "\0" in p or len(p.encode()) > _LONGEST for p in parts):
            raise UsageError(f"{table[:80]!r} can't name a table", next='write "table" or "schema.table"')
        if parts[-1].lower() in (WRITES, _STAGED):
            raise UsageError(f"the table {parts[-1]!r} is trikk's own", next="choose another name")
        columns = () if key is None else (key,) if isinstance(key, str) else tuple(key)
        how = mode or ("merge" if columns else "append")
        if how not in ("append", "merge", "overwrite"):
            raise UsageError(f"there is no mode {how!r}", next="use 'append', 'merge' or 'overwrite'")
        if (how == "merge") != bool(columns):
            raise UsageError(f"mode {how!r} {'needs' if not columns else 'takes no'} key=", next="merge by a key")
        if where and how != "overwrite":
            raise UsageError("where= says which rows an overwrite replaces", next='add mode="overwrite"')
        return cls(parts, how, columns, tuple((where or {}).items()))


def write_rows(
    rows: Any,
    url: str,
    table: str,
    key: str | Sequence[str] | None = None,
    mode: str | None = None,
    where: Mapping[str, Any] | None = None,
    identity: str | None = None,
) -> dict[str, JSON]:
    """Write rows; as `trikk.write_sql`, which is a step of it.

    Returns:
        `table`, `mode`, `rows`, and `repeated`: whether an earlier attempt had written them.

    Raises:
        PermanentError: if the rows do not fit, or the database refuses them; nothing was written.
        StorageError: if it is away, or the connection is lost: worth another attempt.
        UsageError: if an argument is wrong.
        MissingExtra: if the driver is not installed.
    """
    context = current_step()
    if context is not None and context.dry:
        raise PermanentError("a replay does not write into databases", next="take the result of the first run")
    write = SqlWrite.checked(table, key, mode, where)
    address = resolve(url)
    kind = TARGETS[address.scheme]
    if write.table[0].lower() == kind.passing and len(write.table) == 2:
        problem = f"the tables of {write.table[0]!r} are gone when the connection is closed"
        raise UsageError(problem, next="choose another schema")
    lazy = _rows(rows, write)
    name = identity or (context.identity if context is not None else os.urandom(12).hex())
    given = context.given.get("rows") if context is not None else None
    about: list[JSON] = [given.digest if given else _digest(lazy), list(write.table), write.mode, list(write.key)]
    digest = digest_json([*about, [[column, encode(value)] for column, value in write.where]])
    target = kind(address)
    try:
        count, repeated = _written(target, target.adapted(lazy), write, name, digest)
    except TrikkError:
        raise
    except Exception as error:
        failure = target.failure(error)
        if failure is None:
            raise
        raise failure from None
    finally:
        target.close()
    if context is not None:
        context.notes.append(f"{count:,} rows into {table}" + (", which were there" if repeated else ""))
    return {"table": table, "mode": write.mode, "rows": count, "repeated": repeated}


def _rows(rows: Any, write: SqlWrite) -> pl.LazyFrame:
    """The rows, in types that a table holds, checked as far as they can be without the database."""
    where = f"the rows for {'.'.join(write.table)}"
    try:
        lazy = storable(rows_of(rows).lazy(), where=where)
        schema = lazy.collect_schema()
        if write.key:
            known = [name for name in write.key if name in schema]
            check_keys(lazy.select(known).collect(), write.key, unique=True, where=where)
    except (CodecError, TableError) as error:
        raise PermanentError(error.what, where=error.where, next=error.next) from None
    for name, value in write.where:
        if name not in schema or value is None:
            raise UsageError(
                f"where= has {name!r}, which is no column or no value", next=f"there are: {schema.names()}"
            )
        unlike = [v for v in lazy.select(pl.col(name).unique()).head(2).collect()[name] if v != value]
        if unlike:
            raise PermanentError(
                f"a row has {unlike[0]!r} in {name!r}, and only those with {value!r} are replaced",
                where=where,
                next="write just the rows of that slice; nothing was written",
            )
    return lazy


def _digest(lazy: pl.LazyFrame) -> str:
    return digest_parts(batch.write_ipc_stream(None).getvalue() for batch in batches(lazy))


class _Overtaken(StorageError):
    """Another write has made the table, or entered the identity, at the same time."""


@contextmanager
def _unless_there(target: Target, is_there: Callable[[], object]) -> Iterator[None]:
    """Do what another may do at the same time; `_Overtaken` if it fails and is there then.

    What is there is asked, not what the error says: databases refuse the later one in words and classes of their
    own, some at once and some at its commit.
    """
    try:
        yield
    except TrikkError:
        raise
    except Exception:
        is_overtaken = False
        with suppress(Exception):  # of a connection that is gone the first error says more
            target.rollback()
            is_overtaken = bool(is_there())
        if not is_overtaken:
            raise
        raise _Overtaken("another write did the same at the same time", next="try again") from None


def _written(target: Target, rows: pl.LazyFrame, write: SqlWrite, name: str, digest: str) -> tuple[int, bool]:
    """Write the rows in one transaction, or find that they are there; returns how many, and whether they were."""
    writes = _make_writes(target, write)
    try:
        return _transaction(target, rows, write, writes, name, digest)
    except _Overtaken:  # once more, which finds what the other has put there
        return _transaction(target, rows, write, writes, name, digest)


def _transaction(
    target: Target, rows: pl.LazyFrame, write: SqlWrite, writes: str, name: str, digest: str
) -> tuple[int, bool]:
    label = ".".join(write.table)
    with _unless_there(target, lambda: _entered(target, writes, name)):
        target.begin()
        entry = {"identity": name, "target": label, "digest": digest, "written": datetime.now(UTC).isoformat()}
        if not target.claim(writes, entry):
            [earlier] = _entered(target, writes, name)
            if earlier[0] != digest:
                raise PermanentError(
                    f"other rows were written as {name} before, or in another way",
                    where=label,
                    next="they stay; start a new run to write the present rows",
                )
            return int(earlier[1]), True
        _make_table(target, rows, write)
        count = _MODES[write.mode](target, rows, write)
        target.execute(
            f'UPDATE {writes} SET "rows" = {target.mark} WHERE "identity" = {target.mark}', [count, name]
        )
        target.commit()
    return count, False


def _entered(target: Target, writes: str, name: str) -> list[tuple[Any, ...]]:
    """Digest and number of rows of the write of an identity; empty if there is none."""
    return target.rows(f'SELECT "digest", "rows" FROM {writes} WHERE "identity" = {target.mark}', [name])


def _make_writes(target: Target, write: SqlWrite) -> str:
    """Make the table of identities where there is none, in a transaction of its own; returns its name."""
    place, text = (*write.table[:-1], WRITES), "VARCHAR(2000)"
    writes = target.name(*place)
    if not target.columns(place):
        with suppress(_Overtaken), _unless_there(target, lambda: target.columns(place)):
            target.execute(  # in quotes, since Redshift reserves the first
                f'CREATE TABLE IF NOT EXISTS {writes} ("identity" {text} PRIMARY KEY, "target" {text} NOT NULL,'
                f' "digest" {text} NOT NULL, "rows" BIGINT, "written" {text} NOT NULL)'
            )
    return writes


def _make_table(target: Target, rows: pl.LazyFrame, write: SqlWrite) -> None:
    """Make the table where there is none; else check that it takes the rows."""
    schema = rows.collect_schema()
    columns = target.columns(write.table)
    if columns:
        renamed = rows.rename({name: target.column(name) for name in schema})
        check_fit(renamed, columns, f"table {'.'.join(write.table)}", in_bytes=target.in_bytes)
        return
    parts = _declared(target, schema)
    if write.key and target.tells_keys:
        parts.append(f"PRIMARY KEY ({', '.join(target.name(target.column(name)) for name in write.key)})")
    with _unless_there(target, lambda: target.columns(write.table)):
        target.execute(f"CREATE TABLE {target.name(*write.table)} ({', '.join(parts)})")


def _declared(target: Target, schema: pl.Schema) -> list[str]:
    types = target.types
    return [f"{target.name(target.column(n))} {type_for(n, dtype, types)}" for n, dtype in schema.items()]


def _append(target: Target, rows: pl.LazyFrame, write: SqlWrite) -> int:
    return target.load(target.name(*write.table), rows)


def _overwrite(target: Target, rows: pl.LazyFrame, write: SqlWrite) -> int:
    table = target.name(*write.table)
    target.lock(table)  # of two that replace one slice, the later one must see what the first has put there
    names = [f"{target.name(target.column(name))} = {target.mark}" for name, _ in write.where]
    condition = f" WHERE {' AND '.join(names)}" if names else ""
    literals = pl.LazyFrame({name: [value] for name, value in write.where})
    values = target.adapted(literals).collect().row(0) if names else ()
    target.execute(f"DELETE FROM {table}{condition}", values)
    return target.load(table, rows)


def _merge(target: Target, rows: pl.LazyFrame, write: SqlWrite) -> int:
    """Update and insert rather than delete and insert: columns that the rows lack stay as they are.

    Not by ON CONFLICT, which Redshift lacks, and which elsewhere needs a key that the table declares.
    """
    table, staged = target.name(*write.table), target.name(_STAGED)
    target.lock(table)
    schema = rows.collect_schema()
    target.execute(f"CREATE TEMPORARY TABLE {staged} ({', '.join(_declared(target, schema))})")
    count = target.load(staged, rows)
    columns = {name: target.name(target.column(name)) for name in schema}
    same = " AND ".join(f"t.{columns[name]} = s.{columns[name]}" for name in write.key)
    others = [columns[name] for name in schema if name not in write.key]
    assigned = ", ".join(f"{c} = s.{c}" for c in others or [columns[write.key[0]]])
    changed = target.execute(f"UPDATE {table} AS t SET {assigned} FROM {staged} AS s WHERE {same}")
    listed = ", ".join(columns.values())
    changed += target.execute(
        f"INSERT INTO {table} ({listed}) SELECT {listed} FROM {staged} AS s"
        f" WHERE NOT EXISTS (SELECT 1 FROM {table} AS t WHERE {same})"
    )
    target.execute(f"DROP TABLE {staged}")
    if changed != count:
        raise PermanentError(
            "the table has several rows for one key",
            where=f"table {'.'.join(write.table)}",
            next="merge by columns that tell its rows apart; nothing was written",
        )
    return count


_MODES = {"append": _append, "overwrite": _overwrite, "merge": _merge}
