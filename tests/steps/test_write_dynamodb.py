from __future__ import annotations

import json
import os
import threading
import urllib.request
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import polars as pl
import pytest
from tests.servers.moto import MotoServer

from trikk import Retry, dynamodb, pipeline, step, write_dynamodb
from trikk.core.errors import PermanentError, StorageError, UsageError
from trikk.steps.amazon import dynamodb_write
from trikk.testing import run_inline


@pytest.fixture(autouse=True)
def service(moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch) -> MotoServer:
    for name, value in moto_server.environment().items():
        monkeypatch.setenv(name, value)
    return moto_server


@pytest.fixture
def table(service: MotoServer) -> str:
    name = f"t{os.urandom(6).hex()}"
    service.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "sensor", "KeyType": "HASH"}, {"AttributeName": "slot", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "sensor", "AttributeType": "N"},
            {"AttributeName": "slot", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


def keyed(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame({"sensor": [1], "slot": ["a"], **columns})


def test_items_come_back_as_they_were(table: str) -> None:
    frame = pl.DataFrame(
        {
            "sensor": [1, 1, 2],
            "slot": ["a", "b", "a"],
            "count": [2**63 - 1, None, -5],
            "x": [0.1, 1e100, None],
            "price": pl.Series([Decimal("1.50"), Decimal("0.01"), None], dtype=pl.Decimal(38, 2)),
            "yes": [True, False, None],
            "raw": [b"\0\xff", b"", None],
            "text": ["", "é", None],
            "day": [date(2026, 1, 1), None, None],
            "at": [datetime(2026, 1, 1, 4, tzinfo=UTC), None, None],
            "parts": [{"q": 1, "l": [1.5, None]}, None, None],
        }
    )
    assert write_dynamodb(frame, table) == {"table": table, "items": 3}
    back = dynamodb(table, types={"price": "String"})
    assert back.select("sensor", "slot", "count", "x", "yes", "raw", "text").equals(
        frame.select("sensor", "slot", "count", "x", "yes", "raw", "text")
    )
    assert back["price"].to_list() == ["1.5", "0.01", None] or back["price"].to_list() == ["1.50", "0.01", None]
    assert back.row(0, named=True)["day"] == "2026-01-01"
    assert back.row(0, named=True)["at"] == "2026-01-01T04:00:00+00:00"
    assert json.loads(back.row(0, named=True)["parts"]) == {"q": 1, "l": [1.5, None]}
    write_dynamodb(frame.head(1).select("sensor", "slot"), table)  # an item takes the place of another, as a whole
    assert dynamodb(table)["count"].to_list() == [None, None, -5]


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        (keyed(x=[float("nan")]), "row 0 can't be an item: nan is no number"),
        (keyed(x=[float("inf")]), "inf is no number"),
        (keyed(x=[1e126]), "beyond DynamoDB's numbers"),
        (keyed(x=[1e-131]), "beyond DynamoDB's numbers"),
        (keyed(l=[[1.0, float("nan")]]), "nan is no number"),
        (keyed(text=["é" * 205_000]), "an item of 410,0.. bytes, and DynamoDB takes 409,600"),
        (pl.DataFrame({"sensor": ["1"], "slot": ["a"]}), "its key 'sensor' is of kind S, and the table's is N"),
        (pl.DataFrame({"sensor": [1], "slot": [""]}), "its key 'slot' is empty"),
        (pl.DataFrame({"sensor": [1], "slot": ["x" * 1025]}), "longer than 1,024"),
        (pl.DataFrame({"sensor": [1, 1], "slot": ["a", "a"]}), "more than once"),
        (pl.DataFrame({"sensor": [1, None], "slot": ["a", "b"]}), "have no key"),
        (pl.DataFrame({"sensor": [1]}), "key column 'slot' is not in the rows"),
        (keyed(d=[pl.Series([1]).cast(pl.Duration)[0]]), "can't hold"),
    ],
)
def test_a_row_that_can_be_no_item_is_refused_and_none_is_written(
    table: str, frame: pl.DataFrame, problem: str
) -> None:
    good = pl.DataFrame({"sensor": [9], "slot": ["z"]})
    with pytest.raises(PermanentError, match=problem):
        write_dynamodb(
            pl.concat([frame, good], how="diagonal_relaxed") if "key" not in problem[:12] else frame, table
        )
    assert dynamodb(table).height == 0


def test_what_is_no_table_is_refused(table: str) -> None:
    with pytest.raises(UsageError, match="not found"):
        write_dynamodb(keyed(), "no-such-table")
    with pytest.raises(UsageError, match="can't be the name"):
        write_dynamodb(keyed(), "a b")


def test_a_run_writes_and_says_so(table: str) -> None:
    @step
    def counted() -> pl.DataFrame:
        return pl.DataFrame({"sensor": range(60), "slot": "a"})

    @pipeline
    def nightly() -> None:
        write_dynamodb(counted(), table, retry=Retry(1))

    run = run_inline(nightly)
    assert run.state == "succeeded", run.error
    assert run.output("write_dynamodb") == {"table": table, "items": 60}
    assert dynamodb(table)["sensor"].to_list() == list(range(60))


class Full(BaseHTTPRequestHandler):
    """Stands before the service, and takes a few items of each batch; the rest it hands back as DynamoDB does."""

    behind = ""
    takes = 3
    batches: list[int]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        target, rest = self.headers["X-Amz-Target"], {}
        if target.endswith("BatchWriteItem"):
            [(table, items)] = json.loads(body)["RequestItems"].items()
            self.batches.append(len(items))
            body = json.dumps({"RequestItems": {table: items[: self.takes]}}).encode()
            rest = {table: items[self.takes :]} if items[self.takes :] else {}
        answer = b'{"UnprocessedItems": {}}'
        if not target.endswith("BatchWriteItem") or self.takes:
            wanted = {name: self.headers[name] for name in ("X-Amz-Target", "Content-Type", "Authorization")}
            with urllib.request.urlopen(urllib.request.Request(self.behind, body, wanted)) as response:
                answer = response.read()
        if target.endswith("BatchWriteItem"):
            answer = json.dumps({"UnprocessedItems": rest}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def full(moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Full]]:
    handler = type("Handler", (Full,), {"behind": moto_server.endpoint, "batches": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(dynamodb_write, "_LONGEST_PAUSE", 0.01)
    yield handler
    server.shutdown()
    server.server_close()


def test_items_that_the_service_hands_back_are_sent_again_and_not_for_ever(table: str, full: type[Full]) -> None:
    frame = pl.DataFrame({"sensor": range(30), "slot": "a"})
    write_dynamodb(frame, table)
    assert sorted(full.batches, reverse=True) == [25, 22, 19, 16, 13, 10, 7, 5, 4, 2, 1]
    assert dynamodb(table)["sensor"].to_list() == list(range(30))
    full.takes = 0
    with pytest.raises(StorageError, match="does not take 25 items"):
        write_dynamodb(frame.head(25), table)
