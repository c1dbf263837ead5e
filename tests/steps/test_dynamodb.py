from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.servers.moto import MotoServer

from trikk import dynamodb, pipeline
from trikk.core.errors import DefinitionError, StorageError, UsageError
from trikk.steps.amazon.dynamodb_request import request
from trikk.steps.amazon.dynamodb_types import as_json, column
from trikk.testing import run_inline


@pytest.fixture(autouse=True)
def service(moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch) -> MotoServer:
    for name, value in moto_server.environment().items():
        monkeypatch.setenv(name, value)
    return moto_server


@pytest.fixture(scope="module")
def readings(moto_server: MotoServer) -> Any:
    client = moto_server.client("dynamodb")
    client.create_table(
        TableName="readings",
        KeySchema=[{"AttributeName": "sensor", "KeyType": "HASH"}, {"AttributeName": "slot", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "sensor", "AttributeType": "N"},
            {"AttributeName": "slot", "AttributeType": "S"},
            {"AttributeName": "day", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-day",
                "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    for sensor in range(12):
        for hour in range(10):
            item = {
                "sensor": {"N": str(sensor)},
                "slot": {"S": f"2020-03-26T0{hour}"},
                "day": {"S": f"2020-03-{26 + sensor % 2}"},
                "count": {"N": str(sensor * 100 + hour)},
                "name": {"S": "x" * 9000},
            }
            client.put_item(TableName="readings", Item=item)
    return client


def put(client: Any, table: str, items: list[dict[str, Any]]) -> None:
    client.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for place, item in enumerate(items):
        client.put_item(TableName=table, Item={"id": {"S": f"{place:03}"}, **item})


def test_a_table_of_several_pages_is_read_whole_in_the_order_of_its_keys(readings: Any) -> None:
    assert "LastEvaluatedKey" in readings.scan(TableName="readings")
    frame = dynamodb("readings")
    assert frame.columns == ["sensor", "slot", "count", "day", "name"]
    assert frame["count"].to_list() == [s * 100 + h for s in range(12) for h in range(10)]
    assert dynamodb("readings", segments=5, consistent=True).equals(frame)


def test_a_key_reads_only_its_items(readings: Any) -> None:
    assert dynamodb("readings", key={"sensor": 3})["count"].to_list() == list(range(300, 310))
    some = dynamodb("readings", key={"sensor": 3, "slot": ("2020-03-26T02", "2020-03-26T04")}, columns=["count"])
    assert some.columns == ["count"]
    assert some["count"].to_list() == [302, 303, 304]
    by_day = dynamodb("readings", key={"day": "2020-03-26"}, index="by-day", filters={"count": (0, 205)})
    assert by_day["count"].to_list() == [*range(10), *range(200, 206)]


def test_an_evil_name_or_value_is_never_an_expression(readings: Any) -> None:
    assert dynamodb("readings", filters={"count = :0 OR size(#0)": 1}).height == 0
    assert dynamodb("readings", filters={"name": "x OR 1 = 1"}).height == 0


def test_kinds_of_attributes_become_columns(service: MotoServer) -> None:
    put(
        service.client("dynamodb"),
        "kinds",
        [
            {
                "i": {"N": "9223372036854775807"},
                "f": {"N": "0.1"},
                "big": {"N": "12345678901234567890123"},
                "b": {"BOOL": True},
                "raw": {"B": b"\x00\xff"},
                "ss": {"SS": ["b", "a"]},
                "ns": {"NS": ["10", "9"]},
                "m": {"M": {"z": {"N": "1"}, "a": {"L": [{"S": "ø"}, {"NULL": True}]}}},
                "gone": {"NULL": True},
            },
            {"f": {"N": "2"}, "big": {"N": "0.12345678901234567891"}, "m": {"L": [{"N": "0.5"}]}},
        ],
    )
    frame = dynamodb("kinds")
    assert dict(frame.schema) == {
        "id": pl.String, "b": pl.Boolean, "big": pl.String, "f": pl.Float64, "gone": pl.String, "i": pl.Int64,
        "m": pl.String, "ns": pl.List(pl.Int64), "raw": pl.Binary, "ss": pl.List(pl.String),
    }  # fmt: skip
    assert frame.row(0, named=True) == {
        "id": "000", "b": True, "big": "12345678901234567890123", "f": 0.1, "gone": None, "i": 2**63 - 1,
        "m": '{"a":["ø",null],"z":1}', "ns": [9, 10], "raw": b"\x00\xff", "ss": ["a", "b"],
    }  # fmt: skip
    assert frame.row(1)[1:6] == (None, "0.12345678901234567891", 2.0, None, None)
    typed = dynamodb("kinds", columns=["f", "big", "new"], types={"f": "String", "big": "Float64", "new": "Date"})
    assert typed.rows() == [("0.1", 12345678901234567890123.0, None), ("2", 0.12345678901234567891, None)]


def test_an_empty_table_has_its_key_and_what_is_asked_for(service: MotoServer) -> None:
    put(service.client("dynamodb"), "empty", [])
    frame = dynamodb("empty", columns=["id", "n"], types={"n": "Int64"})
    assert dict(frame.schema) == {"id": pl.String, "n": pl.Int64}
    assert frame.height == 0


def test_an_attribute_of_several_kinds_is_refused_or_taken_as_text(service: MotoServer) -> None:
    put(service.client("dynamodb"), "mixed", [{"v": {"N": "1"}}, {"v": {"S": "x"}}, {"v": {"BOOL": False}}])
    with pytest.raises(StorageError, match="attribute 'v' is BOOL and N and S in different items"):
        dynamodb("mixed")
    assert dynamodb("mixed", types={"v": "String"})["v"].to_list() == ["1", "x", "false"]
    with pytest.raises(StorageError, match="'x' is not Int64"):
        dynamodb("mixed", types={"v": "Int64"}, filters={"v": "x"})


@given(st.decimals(allow_nan=False, allow_infinity=False, places=None), st.integers())
def test_no_number_is_changed(number: Decimal, whole: int) -> None:
    for texts in ([str(number)], [str(whole)], [str(number), str(whole)]):
        made = column("n", [{"N": text} for text in texts], None).to_list()
        for text, value in zip(texts, made, strict=True):
            assert Decimal(repr(value) if isinstance(value, float) else value) == Decimal(text)
        found = json.loads(as_json({"L": [{"N": text} for text in texts]}), parse_float=Decimal)
        assert [Decimal(value) for value in found] == [Decimal(text) for text in texts]


def test_a_run_says_what_it_read(readings: Any) -> None:
    @pipeline
    def reading(sensor: int) -> None:
        dynamodb("readings", key={"sensor": sensor})

    run = run_inline(reading, sensor=4)
    assert run.state == "succeeded", run.error
    assert run.output("dynamodb", pl.DataFrame)["sensor"].to_list() == [4] * 10
    (read,) = [e.body for e in run.events if e.kind == "source.read"]
    assert (read["table"], read["rows"], read["region"]) == ("readings", 10, "eu-west-1")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"table": "missing"}, "DynamoDB refuses"),
        ({"table": "readings", "index": "by-night"}, "no index 'by-night'"),
        ({"table": "readings", "key": {"slot": "x"}}, "DynamoDB refuses"),
        ({"table": "readings", "filters": {"count": (1, 2, 3)}}, "has 3 values"),
        ({"table": "readings", "filters": {"count": float("nan")}}, "can't be compared"),
    ],
)
def test_what_does_not_fit_the_table_is_a_usage_error(
    readings: Any, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        dynamodb(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"table": "a/b"},
        {"table": "t123", "segments": 0},
        {"table": "t123", "segments": 2, "key": {"id": 1}},
        {"table": "t123", "types": {"a": "Object"}},
        {"table": "t123", "key": {"id": "AKIAIOSFODNN7EXAMPLE"}},
        {"table": "t123", "endpoint": "http://user:word@host"},
    ],
)
def test_a_wrong_definition_names_the_author_s_line(arguments: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError) as error:
        dynamodb(**arguments)
    assert str(error.value.where).startswith(__file__)


def test_no_server_is_worth_another_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(StorageError, match="table t123 can't be read"):
        dynamodb("t123", endpoint="http://127.0.0.1:9")


class Throttling(BaseHTTPRequestHandler):
    """Passes requests on to moto, but refuses the first of each kind as the real service does under load."""

    protocol_version = "HTTP/1.1"
    behind = ""
    refusals = 0
    seen: list[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        action = self.headers["X-Amz-Target"].partition(".")[2]
        type(self).seen.append(action)
        if action == "Scan" and self.seen.count("Scan") <= self.refusals:
            kind = "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"
            self._answer(400, json.dumps({"__type": kind, "message": "slow down"}).encode())
            return
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "content-length")}
        with urllib.request.urlopen(urllib.request.Request(self.behind, body, headers)) as answer:
            self._answer(answer.status, answer.read())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def throttled(moto_server: MotoServer) -> Iterator[tuple[str, type[Throttling]]]:
    handler = type("Handler", (Throttling,), {"behind": moto_server.endpoint, "seen": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", handler
        server.shutdown()
        thread.join()


def test_a_throttled_request_is_sent_again_and_not_for_ever(
    readings: Any, throttled: tuple[str, type[Throttling]], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, handler = throttled
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
    handler.refusals = 2
    assert dynamodb("readings", endpoint=endpoint, filters={"sensor": 1}).height == 10
    handler.seen.clear()
    handler.refusals = 99
    with pytest.raises(StorageError, match="ProvisionedThroughputExceededException"):
        dynamodb("readings", endpoint=endpoint)
    assert handler.seen.count("Scan") == 3


def test_a_request_holds_no_name_or_value_in_its_text() -> None:
    asked = request("t", index=None, key={"a": 1}, filters={"b": "x"}, columns=["a", "size"], consistent=False)
    assert asked["KeyConditionExpression"] == "#0 = :0"
    assert asked["FilterExpression"] == "#1 = :1"
    assert asked["ProjectionExpression"] == "#0, #2"
    assert asked["ExpressionAttributeNames"] == {"#0": "a", "#1": "b", "#2": "size"}
    assert asked["ExpressionAttributeValues"] == {":0": {"N": "1"}, ":1": {"S": "x"}}
