"""`athena(query)`: the rows of a query of Athena, as a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trikk.core.durations import Duration
from trikk.pipeline.location import defining
from trikk.pipeline.policies import Retry
from trikk.pipeline.step import Step
from trikk.steps.amazon.credentials import check_access, refuse_keys
from trikk.steps.step_options import plain_options
from trikk.storage.stores.object_names import locate


def _read(query: str, parameters: dict[str, Any], options: dict[str, Any]) -> Any:
    from trikk.steps.amazon.athena_rows import read_athena

    return read_athena(query, parameters, **options)


_ATHENA: Step[..., Any] = Step(_read, name="athena", source=True)


def athena(
    query: str,
    parameters: Mapping[str, object] | None = None,
    *,
    output: str | None = None,
    workgroup: str | None = None,
    database: str | None = None,
    catalog: str | None = None,
    profile: str | None = None,
    role: str | None = None,
    endpoint: str | None = None,
    region: str | None = None,
    name: str | None = None,
    after: object = (),
    retry: Retry | None = None,
    timeout: Duration | None = None,
) -> Any:
    """Read the rows of a query, as a step: its result is an artifact of the run, and a replay does not ask again.

    If the run is cancelled or the time is over, the query is stopped.

    Args:
        query: one SELECT, with `:name` for each parameter.
        parameters: values by name: plain ones, parameters of the pipeline, outputs of steps.
        output: the address in S3 below which Athena puts results; the work group's if not given.
        workgroup: the work group; "primary" if not given.
        database: the database of tables that name none.
        catalog: the catalogue; the account's own if not given.
        profile: a section of the AWS configuration files; the environment or the machine's role if not given.
        role: the ARN of a role to assume.
        endpoint: the server's URL.
        region: the region; AWS_REGION if not given.
        name: the step's name; "athena", "athena-2", ... if not given.
        after: steps that must be over before.
        retry: a `Retry`; the pipeline's default if not given.
        timeout: how long one attempt may take.

    Returns:
        The rows; a step gets them as the kind of frame that its annotation asks for. Outside of a pipeline, a
        polars DataFrame, read at once.

    Raises:
        DefinitionError: if an argument is wrong, or holds what looks like a key of AWS.
    """
    with defining():
        refuse_keys(query, output, *(parameters or {}).values())
        check_access(profile, role, endpoint, region)
        if isinstance(output, str):
            locate(output)
    options = plain_options(
        output=output, workgroup=workgroup, database=database, catalog=catalog,
        profile=profile, role=role, endpoint=endpoint, region=region,
    )  # fmt: skip
    step = _ATHENA.options(name=name, after=after, retry=retry, timeout=timeout)
    return step(query, dict(parameters or {}), options)
