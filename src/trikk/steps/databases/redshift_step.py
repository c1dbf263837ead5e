"""`redshift(...)`: the `sql` step with the parts of a Redshift address by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from trikk.core.durations import Duration
from trikk.core.errors import UsageError
from trikk.core.network.addresses import REFERENCE
from trikk.pipeline.location import defining
from trikk.pipeline.policies import Retry
from trikk.pipeline.step import Step
from trikk.steps.amazon.credentials import refuse_keys
from trikk.steps.databases.sql_step import read_sql

_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+")
_SSL = ("disable", "require", "verify-ca", "verify-full")
_REDSHIFT: Step[..., Any] = Step(read_sql, name="redshift", source=True)


def redshift(
    query: str,
    parameters: Mapping[str, object] | None = None,
    *,
    host: str,
    database: str,
    user: str,
    password: str = "${REDSHIFT_PASSWORD}",  # noqa: S107 - a reference, no password
    port: int = 5439,
    ssl: str = "require",
    name: str | None = None,
    after: object = (),
    retry: Retry | None = None,
    timeout: Duration | None = None,
) -> Any:
    """Read rows from Redshift, or another database of PostgreSQL's protocol, as `sql` does.

    Args:
        query: one SELECT, with `:name` for each parameter.
        parameters: values by name: plain ones, parameters of the pipeline, outputs of steps.
        host: the cluster's or work group's host name.
        database: the database.
        user: the user, or `${NAME}`.
        password: `${NAME}` of the environment variable that holds it; a password itself is refused.
        port: the port.
        ssl: libpq's sslmode: "require", "verify-ca", "verify-full", or "disable" for a server on this machine.
        name: the step's name; "redshift", "redshift-2", ... if not given.
        after: steps that must be over before.
        retry: a `Retry`; the pipeline's default if not given.
        timeout: how long one attempt may take.

    Returns:
        The rows, as of `sql`.

    Raises:
        DefinitionError: if an argument is wrong, or holds a password.
    """
    with defining():
        refuse_keys(host, database, user, password)
        url = address(host, database, user, password, port, ssl)
    return _REDSHIFT.options(name=name, after=after, retry=retry, timeout=timeout)(
        url, query, dict(parameters or {})
    )


def address(host: str, database: str, user: str, password: str, port: int, ssl: str) -> str:
    """The address that the `sql` step takes.

    Raises:
        UsageError: if a part is wrong, or the password is not `${NAME}`.
    """
    if not REFERENCE.fullmatch(password):
        raise UsageError("password= is not a reference", next="put it into the environment and write ${NAME}")
    if not _HOST.fullmatch(host):
        raise UsageError("host= is not a host's name", next="use a name such as cluster.abc.eu-west-1.redshift...")
    if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
        raise UsageError(f"port={port!r} is out of range", next="use 5439")
    if ssl not in _SSL:
        raise UsageError(f"ssl={ssl!r} is not known", next=f"use one of {', '.join(map(repr, _SSL))}")
    if not database or not user:
        raise UsageError("database= and user= must not be empty", next="name both")
    who = user if REFERENCE.fullmatch(user) else quote(user, safe="")
    return f"redshift://{who}:{password}@{host}:{port}/{quote(database, safe='')}?sslmode={ssl}"
