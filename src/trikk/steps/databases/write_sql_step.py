"""`write_sql(...)`: rows into a table of a database as a step, once."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from trikk.pipeline.location import defining
from trikk.pipeline.policies import Retry
from trikk.pipeline.step import Step
from trikk.steps.databases.database_url import check_url

_RETRY = Retry(attempts=3, delay="5s", factor=4, max_delay="1m")


def write_sql(
    rows: Any,
    url: str,
    table: str,
    key: str | Sequence[str] | None = None,
    *,
    mode: str | None = None,
    where: Mapping[str, object] | None = None,
    identity: str | None = None,
    name: str | None = None,
    after: object = (),
    retry: Retry | None = None,
) -> Any:
    """Write rows into a table of a database, as a step; outside of a pipeline, at once.

    All rows are there together or none is, and once, whatever crashes when: what the write is known by goes into a
    table `trikk_writes` beside the target, in the same transaction. A replay writes nothing.

    Args:
        rows: a frame. Lists, structs, durations and times of day are refused.
        url: as of `sql`: sqlite:///file, duckdb:///file, postgresql://user:${PASSWORD}@host/db or redshift://...
        table: "table" or "schema.table"; it is made if it does not exist.
        key: columns that say which row is which: rows whose key is there are updated, the others added.
        mode: "merge" (with a key), "append", or "overwrite", which replaces the rows that are there. If not given,
            "merge" where there is a key, else "append".
        where: of an overwrite, which rows it replaces, by column: {"day": day}. All of `rows` must be such. If
            not given, it replaces all rows of the table.
        identity: what is to be written once; this step of this run if not given. Outside of a run, if not given,
            every call is a write of its own.
        name: the step's name; "write_sql", "write_sql-2", ... if not given.
        after: steps that must be over before.
        retry: of the step; three attempts if not given.

    Returns:
        A dict with table, mode, rows and repeated (whether an earlier attempt had written them).

    Raises:
        DefinitionError: if the address is of an unknown kind or holds a password.
        PermanentError: outside of a pipeline, as `StorageError` (a database that is away): if it was not written.
    """
    if isinstance(url, str):
        with defining():
            check_url(url)
    step = _step().options(name=name, after=after, retry=retry)
    return step(rows, url, table, key, mode=mode, where=dict(where or {}), identity=identity)


@functools.cache
def _step() -> Step[..., Any]:
    from trikk.steps.databases.sql_write import write_rows  # late: it needs polars

    return Step(write_rows, name="write_sql", retry=_RETRY, effect=True)
