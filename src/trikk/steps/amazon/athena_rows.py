"""Rows from a query of Athena: started, waited for, stopped with its run, and read from the file that it leaves.

The service writes each result as CSV below an address in S3, and says the columns' types beside it. All values are
quoted there, so that nothing between two commas is null and two quotes are an empty text.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import Any

import polars as pl

from trikk.core.errors import StorageError, UsageError
from trikk.core.values import JSON
from trikk.runs.context import current_step
from trikk.steps.amazon.credentials import check_access, failed, session
from trikk.steps.amazon.s3_rows import connect, scratch
from trikk.steps.databases.postgres_types import check_moments
from trikk.steps.databases.query import ordered
from trikk.storage.stores.buckets import download, list_objects
from trikk.storage.stores.object_names import locate

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0  # seconds between two questions whether it is over
_LONGEST_PARAMETER = 1024  # characters that the service takes
_WHOLE = {"tinyint": pl.Int8, "smallint": pl.Int16, "integer": pl.Int32, "int": pl.Int32, "bigint": pl.Int64}


def read_athena(
    query: str,
    parameters: Mapping[str, object] | None = None,
    output: str | None = None,
    workgroup: str | None = None,
    database: str | None = None,
    catalog: str | None = None,
    profile: str | None = None,
    role: str | None = None,
    endpoint: str | None = None,
    region: str | None = None,
) -> pl.DataFrame:
    """Read the rows of a query; arguments as `trikk.athena` describes them.

    Raises:
        UsageError: if the query, or its result's columns, are wrong.
        StorageError: if the service refuses or is away, or its own part has failed: worth another attempt.
        MissingExtra: if boto3 or obstore is not installed.
    """
    check_access(profile, role, endpoint, region)
    text, values = ordered(query, parameters or {})
    who = session(profile, role, region)
    arguments: dict[str, Any] = {"QueryString": text}
    if values:
        arguments["ExecutionParameters"] = [_literal(name, value) for name, value in values]
    context = {"Database": database, "Catalog": catalog}
    arguments["QueryExecutionContext"] = {name: value for name, value in context.items() if value}
    if output is not None:
        locate(output)
        arguments["ResultConfiguration"] = {"OutputLocation": output}
    if workgroup is not None:
        arguments["WorkGroup"] = workgroup
    client = who.client("athena", endpoint_url=endpoint)
    identity = str(_asked(client.start_query_execution, arguments)["QueryExecutionId"])
    with _stopped_with_us(client, identity):
        print(f"athena: query {identity}", flush=True)  # noqa: T201 - into the step's log, if it is killed
        execution = _finished(client, identity)
    if (step := current_step()) is not None:
        scanned = execution.get("Statistics", {}).get("DataScannedInBytes")
        body: dict[str, JSON] = {"source": "athena", "query": identity, "bytes_scanned": scanned}
        step.record("source.read", body)
    columns = _columns(client, identity)
    location = execution.get("ResultConfiguration", {}).get("OutputLocation")
    if not location:
        raise UsageError(
            "Athena keeps the result to itself, and names no place in S3",
            next='say where: output="s3://bucket/results/", or use a work group with such a place',
        )
    return typed(_text(location, [name for name, _ in columns], profile, role, endpoint, region), columns)


@contextmanager
def _stopped_with_us(client: Any, identity: str) -> Iterator[None]:
    """Stop the query, which costs money, if this does not come to its end, as in a run that is cancelled."""
    previous = None
    if threading.current_thread() is threading.main_thread():
        previous = signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    except BaseException as reason:
        _stop(client, identity)
        if isinstance(reason, _Terminated):  # and end as the signal would have it
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
        raise
    finally:
        if previous is not None:
            signal.signal(signal.SIGTERM, previous)


class _Terminated(BaseException):
    """SIGTERM has come."""


def _leave(_: int, __: FrameType | None) -> None:
    raise _Terminated


def _stop(client: Any, identity: str) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client.stop_query_execution(QueryExecutionId=identity)
    except (BotoCoreError, ClientError) as error:
        print(f"athena: query {identity} could not be stopped: {error}")  # noqa: T201 - into the step's log


def _finished(client: Any, identity: str) -> dict[str, Any]:
    """Wait until the query is over; returns what the service says of it."""
    pause = _FIRST_PAUSE
    while True:
        execution: dict[str, Any] = _asked(client.get_query_execution, {"QueryExecutionId": identity})[
            "QueryExecution"
        ]
        status = execution["Status"]
        reason = str(status.get("StateChangeReason", ""))
        if status["State"] == "SUCCEEDED":
            return execution
        if status["State"] == "FAILED":
            where = f"query {identity}"
            if status.get("AthenaError", {}).get("Retryable"):
                raise StorageError(f"Athena has failed: {reason}", where=where, next="try again")
            raise UsageError(f"Athena refuses the query: {reason}", where=where, next="mend the query")
        if status["State"] == "CANCELLED":
            raise StorageError(
                f"the query was cancelled at Athena: {reason}",
                where=f"query {identity}",
                next="see who did, and why",
            )
        time.sleep(pause)
        pause = min(_LONGEST_PAUSE, 1.5 * pause)


def _columns(client: Any, identity: str) -> list[tuple[str, Any]]:
    """Names and types of the result, as the service tells them."""
    answer = _asked(client.get_query_results, {"QueryExecutionId": identity, "MaxResults": 1})
    described = answer["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
    names = [str(column["Name"]) for column in described]
    if not names:
        raise UsageError("the query gives no columns", where=f"query {identity}", next="write a SELECT")
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"the query gives two columns {name!r}", next="rename one: SELECT ... AS other")
    return list(zip(names, described, strict=True))


def _text(
    location: str,
    names: list[str],
    profile: str | None,
    role: str | None,
    endpoint: str | None,
    region: str | None,
) -> pl.DataFrame:
    """The result's file as columns of text."""
    place = locate(location)
    bucket = connect(place.bucket, profile, role, endpoint, region)
    objects = list_objects(bucket, place, location)
    if not objects:
        raise StorageError(
            f"there is no result at {location}", where=location, next="check who removes files there"
        )
    with tempfile.TemporaryDirectory(prefix="trikk-athena-", dir=scratch()) as folder:
        path = Path(folder, "result.csv")
        download(bucket, objects[0], path, location)
        try:
            # Not as other files: a line without anything is a null here, in a result of one column.
            return pl.read_csv(path, infer_schema=False, glob=False, new_columns=names)
        except pl.exceptions.PolarsError as error:
            problem = f"the result is damaged: {str(error).splitlines()[0]}"
            raise StorageError(problem, where=location, next="run this again") from None


def typed(texts: pl.DataFrame, columns: list[tuple[str, Any]]) -> pl.DataFrame:
    """Columns of text in the types that Athena tells.

    Args:
        texts: as in the result's file.
        columns: names, and the service's descriptions: `Type`, `Precision`, `Scale`.

    Raises:
        UsageError: naming the column and what to write in the query, if a value has no form in the type's own.
    """
    series = []
    for name, about in columns:
        mend = f"cast it in the query: CAST({name} AS VARCHAR) AS {name}"
        try:
            column = texts.select(_expression(pl.col(name), about).alias(name)).to_series()
        except pl.exceptions.PolarsError as error:
            raise UsageError(
                f"column {name!r} of type {about['Type']} holds what has no such form here: "
                f"{str(error).splitlines()[0][:200]}",
                next=f"{mend}; a moment AT TIME ZONE 'UTC'",
            ) from None
        check_moments(column, name, mend)
        series.append(column)
    return pl.DataFrame(series)


def _expression(text: pl.Expr, about: Mapping[str, Any]) -> pl.Expr:
    kind = str(about["Type"]).lower()
    if kind in _WHOLE:
        return text.cast(_WHOLE[kind])
    if kind == "boolean":
        return text.replace_strict({"true": True, "false": False}, return_dtype=pl.Boolean)
    if kind in ("float", "real", "double"):
        return text.cast(pl.Float64 if kind == "double" else pl.Float32)
    if kind == "decimal":
        return text.cast(pl.Decimal(int(about.get("Precision") or 38), int(about.get("Scale") or 0)))
    if kind == "date":
        return text.str.to_date("%Y-%m-%d")
    if kind == "timestamp":
        return text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us")
    if kind == "timestamp with time zone":  # of another zone an hour in autumn would be two
        return text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f UTC", time_unit="us").dt.replace_time_zone("UTC")
    if kind == "varbinary":
        return text.str.replace_all(" ", "", literal=True).str.decode("hex")
    return text


def _literal(name: str, value: object) -> str:
    """A value as a literal of Athena's SQL, which is what it takes for a parameter."""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, int):
        text = str(value)
    elif isinstance(value, float):
        text = f"DOUBLE '{value!r}'"
    elif isinstance(value, Decimal) and value.is_finite():
        text = f"DECIMAL '{value:f}'"
    elif isinstance(value, datetime):
        text = f"TIMESTAMP '{value.isoformat(' ')}'"
    elif isinstance(value, date):
        text = f"DATE '{value.isoformat()}'"
    elif isinstance(value, str):
        text = "'" + value.replace("'", "''") + "'"
    else:
        raise UsageError(
            f"Athena can't take parameter {name!r}, a {type(value).__name__}", next="give a plain value"
        )
    if len(text) > _LONGEST_PARAMETER:
        raise UsageError(f"parameter {name!r} is longer than {_LONGEST_PARAMETER} characters", next="join a table")
    return text


def _asked(call: Any, arguments: Mapping[str, Any]) -> Any:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return call(**arguments)
    except ClientError as error:
        about = error.response.get("Error", {})
        if about.get("Code") == "InvalidRequestException":
            raise UsageError(
                f"Athena refuses: {about.get('Message')}", next="mend the query or the arguments"
            ) from None
        raise failed("Athena", error, None) from None
    except BotoCoreError as error:
        raise failed("Athena", error, None) from None
