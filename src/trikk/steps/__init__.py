"""Ready-made steps, built on nothing that a pipeline's author could not use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trikk.core.durations import Duration
from trikk.pipeline.location import defining
from trikk.pipeline.policies import Retry
from trikk.pipeline.step import Step
from trikk.steps.amazon.athena_step import athena
from trikk.steps.amazon.dynamodb_step import dynamodb
from trikk.steps.amazon.s3_step import s3
from trikk.steps.amazon.write_dynamodb_step import write_dynamodb
from trikk.steps.databases.database_url import check_url
from trikk.steps.databases.redshift_step import redshift
from trikk.steps.databases.sql_step import read_sql
from trikk.steps.databases.write_sql_step import write_sql
from trikk.steps.notebooks.notebook_step import notebook
from trikk.steps.scripts.script_step import script

__all__ = ["athena", "dynamodb", "notebook", "redshift", "s3", "script", "sql", "write_dynamodb", "write_sql"]

_SQL: Step[..., Any] = Step(read_sql, name="sql", source=True)


def sql(
    url: str,
    query: str,
    parameters: Mapping[str, object] | None = None,
    *,
    name: str | None = None,
    after: object = (),
    retry: Retry | None = None,
    timeout: Duration | None = None,
) -> Any:
    """Read rows from a database, as a step: its result is an artifact of the run, and a replay does not ask again.

    Args:
        url: sqlite:///file, duckdb:///file, postgresql://user:${PASSWORD}@host/db or redshift://...; `${NAME}` is
            read from the environment when the step runs, and a password in the text is refused.
        query: one SELECT, with `:name` for each parameter.
        parameters: values by name: plain ones, parameters of the pipeline, outputs of steps.
        name: the step's name; "sql", "sql-2", ... if not given.
        after: steps that must be over before.
        retry: a `Retry`; the pipeline's default if not given.
        timeout: how long one attempt may take.

    Returns:
        The rows; a step gets them as the kind of frame that its annotation asks for. Outside of a pipeline, a
        polars DataFrame, read at once.

    Raises:
        DefinitionError: if the url is of an unknown kind or holds a password.
    """
    if isinstance(url, str):
        with defining():
            check_url(url)
    step = _SQL.options(name=name, after=after, retry=retry, timeout=timeout)
    return step(url, query, dict(parameters or {}))
