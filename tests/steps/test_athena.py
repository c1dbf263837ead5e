from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from tests.servers.moto import MotoServer

from trikk import athena, pipeline
from trikk.core.errors import DefinitionError, StorageError, UsageError
from trikk.steps.amazon import athena_rows
from trikk.testing import run_inline

OUTPUT = "s3://athena-results/some/"
COLUMNS: list[tuple[str, str, list[str | None], list[Any], pl.DataType]] = [
    ("n", "bigint", ["9223372036854775807", None], [2**63 - 1, None], pl.Int64()),
    ("small", "tinyint", ["-128", "7"], [-128, 7], pl.Int8()),
    ("x", "double", ["1.0E10", "NaN"], [1e10, math.nan], pl.Float64()),
    ("f", "float", ["0.5", "-Infinity"], [0.5, -math.inf], pl.Float32()),
    ("price", "decimal", ["1.50", None], [Decimal("1.50"), None], pl.Decimal(6, 2)),
    ("yes", "boolean", ["true", "false"], [True, False], pl.Boolean()),
    ("day", "date", ["2020-02-29", None], [date(2020, 2, 29), None], pl.Date()),
    ("local", "timestamp", ["2020-03-26 04:00:00.123", None], [datetime(2020, 3, 26, 4, 0, 0, 123000), None], pl.Datetime("us")),  # noqa: DTZ001, E501
    ("at", "timestamp with time zone", ["2020-03-26 04:00:00.000 UTC", None], [datetime(2020, 3, 26, 4, tzinfo=UTC), None], pl.Datetime("us", "UTC")),  # noqa: E501
    ("raw", "varbinary", ["00 ff", ""], [b"\0\xff", b""], pl.Binary()),
    ("text", "varchar", ["", "a,\n b"], ["", "a,\n b"], pl.String()),
    ("parts", "array", ["[1, 2]", None], ["[1, 2]", None], pl.String()),
]  # fmt: skip


@pytest.fixture(autouse=True)
def service(moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch) -> MotoServer:
    for name, value in moto_server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(athena_rows, "_FIRST_PAUSE", 0.01)
    where = {"LocationConstraint": "eu-west-1"}
    client = moto_server.client("s3")
    if not any(bucket["Name"] == "athena-results" for bucket in client.list_buckets()["Buckets"]):
        client.create_bucket(Bucket="athena-results", CreateBucketConfiguration=where)
    return moto_server


def tell(service: MotoServer, path: str, body: Any) -> None:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{service.endpoint}/moto-api/{path}", json.dumps(body).encode(), headers)
    urllib.request.urlopen(request).close()


def answers(service: MotoServer, columns: list[tuple[str, str]], rows: list[list[str | None]]) -> None:
    """Have the next query give a result; its first row are the names, as at the real service."""
    listed = [[name for name, _ in columns], *rows]
    data = [{"Data": [{} if value is None else {"VarCharValue": value} for value in row]} for row in listed]
    about = [{"Name": name, "Type": kind, "Precision": 6, "Scale": 2} for name, kind in columns]
    body = {"region": "eu-west-1", "results": [{"rows": data, "column_info": about}]}
    tell(service, "static/athena/query-results", body)


@pytest.fixture
def slow(service: MotoServer) -> Iterator[None]:
    name = "athena::execution"
    tell(
        service,
        "state-manager/set-transition",
        {"model_name": name, "transition": {"progression": "manual", "times": 3}},
    )
    yield
    tell(service, "state-manager/set-transition", {"model_name": name, "transition": {"progression": "immediate"}})


def test_values_get_the_types_that_athena_tells(service: MotoServer, slow: None) -> None:
    answers(service, [c[:2] for c in COLUMNS], [[c[2][row] for c in COLUMNS] for row in (0, 1)])
    frame = athena("select *", output=OUTPUT)
    assert dict(frame.schema) == {c[0]: c[4] for c in COLUMNS}
    expected = pl.DataFrame([pl.Series(c[0], c[3], dtype=c[4]) for c in COLUMNS])
    assert frame.equals(expected)


def test_a_run_asks_with_bound_parameters_and_says_what_it_read(service: MotoServer) -> None:
    answers(service, [("n", "integer")], [["1"], [None], ["3"]])

    @pipeline
    def reading(day: date, name: str) -> None:
        athena(
            "select n -- :none\nfrom t where day = :day and name = :name and s <> ':x' and d = :day",
            {"day": day, "name": name},
            output=OUTPUT,
            database="city",
        )

    run = run_inline(reading, day=date(2026, 1, 1), name="x' or 1=1 --")
    assert run.state == "succeeded", run.error
    assert run.output("athena")["n"].to_list() == [1, None, 3]  # a line without anything is a null
    read = next(event.body for event in run.events if event.kind == "source.read")
    asked = service.client("athena").get_query_execution(QueryExecutionId=read["query"])["QueryExecution"]
    assert asked["Query"] == "select n -- :none\nfrom t where day = ? and name = ? and s <> ':x' and d = ?"
    assert asked["ExecutionParameters"] == ["DATE '2026-01-01'", "'x'' or 1=1 --'", "DATE '2026-01-01'"]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("integer", "x"), ("tinyint", "128"), ("boolean", "yes"), ("date", "12020-01-01"), ("varbinary", "zz"),
        ("timestamp with time zone", "2020-10-25 02:30:00.000 Europe/Berlin"),
    ],
)  # fmt: skip
def test_a_value_that_its_type_does_not_hold_is_refused(service: MotoServer, kind: str, value: str) -> None:
    answers(service, [("c", kind)], [[value]])
    with pytest.raises(UsageError, match="column 'c' ") as error:
        athena("select c", output=OUTPUT)
    assert "CAST(c AS VARCHAR)" in str(error.value)


@pytest.mark.parametrize(
    ("status", "kind", "problem"),
    [
        ({"State": "FAILED", "StateChangeReason": "SYNTAX_ERROR: line 1"}, UsageError, "SYNTAX_ERROR"),
        ({"State": "FAILED", "AthenaError": {"Retryable": True}}, StorageError, "Athena has failed"),
        ({"State": "CANCELLED"}, StorageError, "was cancelled at Athena"),
    ],
)
def test_a_query_that_does_not_succeed_says_why(
    status: dict[str, Any], kind: type[Exception], problem: str
) -> None:
    class Client:
        def get_query_execution(self, **_: str) -> dict[str, Any]:
            return {"QueryExecution": {"Status": status}}

    with pytest.raises(kind, match=problem):
        athena_rows._finished(Client(), "q")


def test_results_and_arguments_that_can_not_be_read_are_refused(service: MotoServer) -> None:
    answers(service, [("n", "integer"), ("n", "integer")], [["1", "2"]])
    with pytest.raises(UsageError, match="two columns 'n'"):
        athena("select n, n", output=OUTPUT)
    answers(service, [("n", "integer")], [["1"]])
    with pytest.raises(UsageError, match="names no place in S3"):
        athena("select n")
    with pytest.raises(UsageError, match="no value for :n"):
        athena("select :n", output=OUTPUT)
    with pytest.raises(UsageError, match="longer than 1024"):
        athena("select :n", {"n": "x" * 2000}, output=OUTPUT)
    with pytest.raises(DefinitionError):
        athena("select 1", output="not s3")


SLOW = """
from trikk import athena
athena("select 1", output="s3://athena-results/")
"""


def test_the_query_is_stopped_when_its_process_is_told_to_end(service: MotoServer) -> None:
    name = "athena::execution"
    still = {"model_name": name, "transition": {"progression": "time", "seconds": 600}}
    tell(service, "state-manager/set-transition", still)
    try:
        command = [sys.executable, "-uc", SLOW]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
            assert process.stdout is not None
            query = process.stdout.readline().split()[-1]
            process.send_signal(signal.SIGTERM)
        assert process.returncode == -signal.SIGTERM
    finally:
        tell(
            service,
            "state-manager/set-transition",
            {"model_name": name, "transition": {"progression": "immediate"}},
        )
    asked = service.client("athena").get_query_execution(QueryExecutionId=query)["QueryExecution"]
    assert asked["Status"]["State"] == "CANCELLED"
