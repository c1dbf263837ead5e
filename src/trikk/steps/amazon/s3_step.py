"""`s3(uri)`: rows of CSV, Parquet or JSON-lines objects in a bucket, as a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trikk.core.durations import Duration
from trikk.core.errors import UsageError
from trikk.pipeline.location import defining
from trikk.pipeline.policies import Retry
from trikk.pipeline.step import Step
from trikk.steps.amazon.credentials import check_access, refuse_keys
from trikk.steps.amazon.name_templates import check_holes
from trikk.steps.step_options import plain_options
from trikk.storage.stores.object_names import locate


def _read(uri: str, parameters: dict[str, Any], options: dict[str, Any]) -> Any:
    from trikk.steps.amazon.s3_rows import read_s3

    return read_s3(uri, parameters, **options)


_S3: Step[..., Any] = Step(_read, name="s3", source=True)


def s3(
    uri: str,
    parameters: Mapping[str, object] | None = None,
    *,
    format: str | None = None,  # noqa: A002 - the word that authors know
    columns: Sequence[str] | None = None,
    types: Mapping[str, str] | None = None,
    union: bool = False,
    nulls: Sequence[str] = (),
    separator: str | None = None,
    profile: str | None = None,
    role: str | None = None,
    endpoint: str | None = None,
    region: str | None = None,
    name: str | None = None,
    after: object = (),
    retry: Retry | None = None,
    timeout: Duration | None = None,
) -> Any:
    """Read rows from a bucket, as a step: its result is an artifact of the run, and a replay does not read again.

    Args:
        uri: s3://bucket/key, a folder (ends with /), or a pattern (`*`, `**`, `?`, `[...]`), read in the order of
            the keys; `{day}` or `{day:%Y/%m/%d}` stands for a parameter. Or a parameter or output that is one.
        parameters: values for `{name}`: plain ones, parameters of the pipeline, outputs of steps.
        format: "csv", "parquet" or "jsonl"; by each object's ending if not given (.gz and .zst may follow).
        columns: those to read; all if not given.
        types: columns' types by name, such as {"station": "String"}; by all of the values if not given.
        union: True if a column that a file lacks is null in its rows; else that is an error.
        nulls: texts in CSV that mean that there is no value, such as ["NA"]; an empty one does without quotes.
        separator: between the values of CSV; a comma if not given.
        profile: a section of the AWS configuration files; the environment or the machine's role if not given.
        role: the ARN of a role to assume.
        endpoint: the server's URL; AWS_ENDPOINT_URL if not given.
        region: the region; AWS_REGION if not given.
        name: the step's name; "s3", "s3-2", ... if not given.
        after: steps that must be over before.
        retry: a `Retry`; the pipeline's default if not given.
        timeout: how long one attempt may take.

    Returns:
        The rows; a step gets them as the kind of frame that its annotation asks for. Outside of a pipeline, a
        polars DataFrame, read at once.

    Raises:
        DefinitionError: if an argument is wrong, or holds what looks like a key.
    """
    given = dict(parameters or {})
    with defining():
        refuse_keys(uri, *given.values())
        check_access(profile, role, endpoint, region)
        _check_reading(format, types, nulls, separator)
        if isinstance(uri, str):  # else a parameter or an output, which is checked when the step runs
            check_holes(uri, given)
            locate(uri)
    options = plain_options(
        format=format, columns=columns, types=types, union=union, nulls=nulls, separator=separator,
        profile=profile, role=role, endpoint=endpoint, region=region,
    )  # fmt: skip
    return _S3.options(name=name, after=after, retry=retry, timeout=timeout)(uri, given, options)


def _check_reading(
    name: object, types: Mapping[str, str] | None, nulls: Sequence[str], separator: str | None
) -> None:
    from trikk.storage.ingest.reader import FORMATS, Reading

    Reading(types=types or {}, nulls=list(nulls), separator=separator)
    if isinstance(name, str) and name not in FORMATS:
        raise UsageError(f"format={name!r} is not known", next=f"use one of {', '.join(map(repr, FORMATS))}")
