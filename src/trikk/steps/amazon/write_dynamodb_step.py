"""`write_dynamodb(...)`: rows as items of a DynamoDB table, as a step."""

from __future__ import annotations

import functools
from typing import Any

from trikk.pipeline.location import defining
from trikk.pipeline.policies import Retry
from trikk.pipeline.step import Step
from trikk.steps.amazon.credentials import check_access, refuse_keys
from trikk.steps.amazon.dynamodb_request import check_request

_RETRY = Retry(attempts=3, delay="5s", factor=4, max_delay="1m")


def write_dynamodb(
    rows: Any,
    table: str,
    *,
    profile: str | None = None,
    role: str | None = None,
    endpoint: str | None = None,
    region: str | None = None,
    name: str | None = None,
    after: object = (),
    retry: Retry | None = None,
) -> Any:
    """Put each row as an item into a DynamoDB table, as a step; outside of a pipeline, at once.

    An item takes the place of one with the same key, so that another attempt changes nothing. All rows are checked
    before the first is sent. A replay writes nothing.

    Args:
        rows: a frame with the columns of the table's key; a null is an attribute that the item does not have.
            Structs and lists become maps and lists, dates and moments ISO 8601 texts.
        table: the table's name; it must exist, and its key says which row is which.
        profile: a section of the AWS configuration files; the environment or the machine's role if not given.
        role: the ARN of a role to assume.
        endpoint: the server's URL.
        region: the region; AWS_REGION if not given.
        name: the step's name; "write_dynamodb", "write_dynamodb-2", ... if not given.
        after: steps that must be over before.
        retry: of the step; three attempts if not given.

    Returns:
        A dict with table and items, their number.

    Raises:
        DefinitionError: if an argument is wrong, or holds what looks like a key of AWS.
        PermanentError: outside of a pipeline, as `StorageError`: if the items could not be written.
    """
    with defining():
        refuse_keys(table)
        check_access(profile, role, endpoint, region)
        check_request(table, {}, 1)
    step = _step().options(name=name, after=after, retry=retry)
    return step(rows, table, profile, role, endpoint, region)


@functools.cache
def _step() -> Step[..., Any]:
    from trikk.steps.amazon.dynamodb_write import write_items  # late: it needs polars

    return Step(write_items, name="write_dynamodb", retry=_RETRY, effect=True)
