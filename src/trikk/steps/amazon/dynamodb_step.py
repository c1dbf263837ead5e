"""`dynamodb(table)`: items of a DynamoDB table as rows, as a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trikk.core.durations import Duration
from trikk.pipeline.location import defining
from trikk.pipeline.policies import Retry
from trikk.pipeline.step import Step
from trikk.steps.amazon.credentials import check_access, refuse_keys
from trikk.steps.amazon.dynamodb_request import check_request
from trikk.steps.step_options import plain_options


def _read(table: str, key: dict[str, Any], filters: dict[str, Any], options: dict[str, Any]) -> Any:
    from trikk.steps.amazon.dynamodb_items import read_dynamodb

    return read_dynamodb(table, key, filters, **options)


_DYNAMODB: Step[..., Any] = Step(_read, name="dynamodb", source=True)


def dynamodb(
    table: str,
    *,
    key: Mapping[str, object] | None = None,
    filters: Mapping[str, object] | None = None,
    index: str | None = None,
    columns: Sequence[str] | None = None,
    types: Mapping[str, str] | None = None,
    segments: int = 1,
    consistent: bool = False,
    profile: str | None = None,
    role: str | None = None,
    endpoint: str | None = None,
    region: str | None = None,
    name: str | None = None,
    after: object = (),
    retry: Retry | None = None,
    timeout: Duration | None = None,
) -> Any:
    """Read items, as a step: its result is an artifact of the run, and a replay does not read again.

    Args:
        table: the table's name.
        key: values of the key's attributes: the partition key's one value and, if wanted, the sort key's value or
            a pair (from, to), both included. Without it the whole table is scanned.
        filters: values, or pairs (from, to), that other attributes must have; the service reads all the same.
        index: a secondary index to read from.
        columns: the attributes to read; all if not given.
        types: columns' types by name, such as {"price": "Float64"}; by all of the values if not given.
        segments: how many parts of the table are scanned at once, 1 to 256.
        consistent: True to read what has been written until now, at twice the price; not for global indexes.
        profile: a section of the AWS configuration files; the environment or the machine's role if not given.
        role: the ARN of a role to assume.
        endpoint: the server's URL.
        region: the region; AWS_REGION if not given.
        name: the step's name; "dynamodb", "dynamodb-2", ... if not given.
        after: steps that must be over before.
        retry: a `Retry`; the pipeline's default if not given.
        timeout: how long one attempt may take.

    Returns:
        One row for each item, in the order of the keys, the key's columns first; a step gets them as the kind of
        frame that its annotation asks for. Outside of a pipeline, a polars DataFrame, read at once.

    Raises:
        DefinitionError: if an argument is wrong, or holds what looks like a key of AWS.
    """
    from trikk.storage.ingest.column_types import check_types

    with defining():
        refuse_keys(table, index, *(key or {}).values(), *(filters or {}).values())
        check_access(profile, role, endpoint, region)
        check_types(types or {})
        check_request(table, key or {}, segments)
    options = plain_options(
        index=index, columns=columns, types=types, segments=segments, consistent=consistent,
        profile=profile, role=role, endpoint=endpoint, region=region,
    )  # fmt: skip
    step = _DYNAMODB.options(name=name, after=after, retry=retry, timeout=timeout)
    return step(table, dict(key or {}), dict(filters or {}), options)
