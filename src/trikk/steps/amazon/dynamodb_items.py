"""Items of a DynamoDB table as rows: all pages, in parts at once if asked, slower when the service says so."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from trikk.core.errors import UsageError
from trikk.core.values import JSON
from trikk.runs.context import current_step
from trikk.steps.amazon.credentials import check_access, failed, session
from trikk.steps.amazon.dynamodb_request import check_request, request
from trikk.steps.amazon.dynamodb_types import Attribute, column
from trikk.storage.ingest.column_types import dtype_of

if TYPE_CHECKING:
    import polars as pl

_ATTEMPTS = 10  # botocore pauses for up to 20 s between two
_AT_ONCE = 16  # threads, whatever the number of segments
# These can't go better at another attempt.
_OUR_MISTAKES = ("ValidationException", "ResourceNotFoundException")


def read_dynamodb(
    table: str,
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
) -> pl.DataFrame:
    """Read items; arguments as `trikk.dynamodb` describes them.

    A request that is throttled is sent again after a growing, random pause, up to ten times in all (or
    AWS_MAX_ATTEMPTS). In a run, a "source.read" event says what was read.

    Returns:
        One row for each item, in the order of the keys; the key's columns first, then the others by name.

    Raises:
        UsageError: if there is no such table or index, or a key or filter does not fit it.
        StorageError: if the service refuses or is away, or attributes do not fit into columns.
        MissingExtra: if boto3 is not installed.
    """
    check_request(table, key or {}, segments)
    check_access(profile, role, endpoint, region)
    client = open_client(profile, role, endpoint, region)
    keys = _keys(client, table, index)
    # With the key, as the rows are sorted by it; what was not asked for is dropped again below.
    wanted = None if columns is None else list(dict.fromkeys([*keys, *columns]))
    arguments = request(
        table, index=index, key=key or {}, filters=filters or {}, columns=wanted, consistent=consistent
    )
    items = _items(client, arguments, segments)
    frame = _frame(items, keys, wanted, types or {})
    _record(table, index, client.meta.region_name, frame.height)
    return frame if columns is None else frame.select(columns)


def open_client(profile: str | None, role: str | None, endpoint: str | None, region: str | None) -> Any:
    """A client of DynamoDB that sends again, after growing pauses, what was throttled; errors as of `session`."""
    who = session(profile, role, region)
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    attempts = int(os.environ.get("AWS_MAX_ATTEMPTS", _ATTEMPTS))
    config = Config(
        connect_timeout=5,
        read_timeout=60,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=_AT_ONCE,
    )
    try:
        return who.client("dynamodb", endpoint_url=endpoint, config=config)
    except (BotoCoreError, ValueError) as error:
        raise failed("DynamoDB", error, endpoint) from None


def _keys(client: Any, table: str, index: str | None) -> list[str]:
    """The names of the key's attributes: the index's first, then the table's."""
    about = asked(client.describe_table, {"TableName": table})["Table"]
    schema = list(about["KeySchema"])
    if index is not None:
        known = [*about.get("GlobalSecondaryIndexes", []), *about.get("LocalSecondaryIndexes", [])]
        own = next((one["KeySchema"] for one in known if one["IndexName"] == index), None)
        if own is None:
            names = ", ".join(sorted(one["IndexName"] for one in known)) or "none"
            raise UsageError(f"table {table} has no index {index!r}", where=table, next=f"there are: {names}")
        # An index's rows come in its own order; the table's key makes it a total one.
        schema = [*own, *schema]
    return list(dict.fromkeys(part["AttributeName"] for part in schema))


def _items(client: Any, arguments: dict[str, Any], segments: int) -> list[dict[str, Attribute]]:
    call = client.query if "KeyConditionExpression" in arguments else client.scan
    if segments == 1:
        return _pages(call, arguments)
    parts = [{**arguments, "Segment": n, "TotalSegments": segments} for n in range(segments)]
    with ThreadPoolExecutor(min(segments, _AT_ONCE)) as pool:
        pages = pool.map(lambda part: _pages(call, part), parts)
        return [item for items in pages for item in items]


def _pages(call: Any, arguments: dict[str, Any]) -> list[dict[str, Attribute]]:
    items: list[dict[str, Attribute]] = []
    start: dict[str, Any] = {}
    while True:
        page = asked(call, arguments | start)
        items += page["Items"]
        # An empty page is not the end: a filter may have left nothing of it.
        if not page.get("LastEvaluatedKey"):
            return items
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def asked(call: Any, arguments: dict[str, Any], *, where: str | None = None, verb: str = "read") -> dict[str, Any]:
    """What a request is answered.

    Args:
        call: of the client.
        arguments: of the call.
        where: the table, if it is not one of them.
        verb: what can't be done with it, for the error.

    Raises:
        UsageError: if the request is wrong.
        StorageError: if the service refuses or is away.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    where = where or str(arguments["TableName"])
    try:
        answer: dict[str, Any] = call(**arguments)
    except ClientError as error:
        about = error.response.get("Error", {})
        if about.get("Code") in _OUR_MISTAKES:
            raise UsageError(
                f"DynamoDB refuses: {about.get('Message') or about['Code']}",
                where=where,
                next="check the table, its key's attributes and their types",
            ) from None
        raise failed(f"table {where}", error, where, verb) from None
    except BotoCoreError as error:
        raise failed(f"table {where}", error, where, verb) from None
    return answer


def _frame(
    items: list[dict[str, Attribute]], keys: list[str], wanted: list[str] | None, types: Mapping[str, str]
) -> pl.DataFrame:
    """The items' attributes as columns; the items are emptied meanwhile, so that they are not held twice."""
    import polars as pl

    names = wanted or [*keys, *sorted({name for item in items for name in item} | types.keys() - set(keys))]
    names = list(dict.fromkeys(names))
    series = []
    for name in names:
        values = [item.pop(name, None) for item in items]
        series.append(column(name, values, dtype_of(types[name]) if name in types else None))
    frame = pl.DataFrame(series)
    # The service promises no order, and segments end as they end.
    order = [name for name in keys if not isinstance(frame.schema[name], pl.List)]
    return frame.sort(order, maintain_order=True)


def _record(table: str, index: str | None, region: str | None, rows: int) -> None:
    step = current_step()
    if step is not None:
        body: dict[str, JSON] = {
            "source": "dynamodb",
            "table": table,
            "index": index,
            "region": region,
            "rows": rows,
        }
        step.record("source.read", body)
