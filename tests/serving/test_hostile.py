"""What clients do that mean no good, or can't do better: nobody else may notice."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import uvicorn
from tests.serving.endpoints import Endpoint, Served
from uvicorn.server import ServerState

from trikk.core.errors import UsageError
from trikk.serving.http.bodies import ARROW_TYPE
from trikk.web.callers import Callers
from trikk.web.connections import Connections
from trikk.web.refused import Refused

BODY = b'[{"a": 1, "b": 1}]'


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Served:
    found = Served(tmp_path_factory.mktemp("hostile"))
    found.promote(found.register(2))
    return found


@pytest.fixture(scope="module")
def shared(place: Served) -> Iterator[Endpoint]:
    """An endpoint that may open 256 files, and whose bodies may have 100 kB."""
    with place.endpoint("--max-body", "100KB", "--allow-origin", "https://app.example", files=256) as endpoint:
        yield endpoint


def connected(endpoint: Endpoint) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(endpoint.url.rpartition(":")[2])), timeout=30)


def status(endpoint: Endpoint, data: bytes) -> int:
    """The status of the first answer to some bytes; 0 if the connection is closed without one."""
    with connected(endpoint) as link:
        with contextlib.suppress(OSError):
            link.sendall(data)
        with contextlib.suppress(OSError):
            answer = link.recv(65536)
            return int(answer.split()[1]) if answer else 0
    return 0


def request(*headers: str, body: bytes = BODY, path: str = "/invocations", version: str = "1.1") -> bytes:
    given = ["Host: localhost", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    names = {header.partition(":")[0].lower() for header in headers}
    own = [one for one in given if one.partition(":")[0].lower() not in names]
    lines = [f"POST {path} HTTP/{version}", *own, *(h for h in headers if not h.endswith(": -")), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (request(), 200),
        (request(version="1.0"), 200),
        (request("Host: -", version="1.0"), 200),
        (request("Host: -"), 400),
        (request("Host: localhost", "Host: evil.example"), 400),
        (request("Host: evil.example"), 421),
        (request("Host: localhost.evil.example:8080"), 421),
        (request("Host: LOCALHOST.:9"), 200),
        (request("Host: [::1]:80"), 200),
        (request("Host: 10.0.0.1"), 421),
        (request("Origin: https://evil.example"), 403),
        (request("Origin: null"), 403),
        (request("Origin: http://localhost:3000"), 403),
        (request("Origin: http://localhost"), 200),
        (request("Origin: https://app.example"), 200),
        (request("Content-Type: -"), 415),
        (request("Content-Type: text/plain"), 415),
        (request("Content-Type: application/x-www-form-urlencoded"), 415),
        (request("Expect: 100-continue"), 100),
        (request("Expect: 100-continue", "Content-Length: 100001"), 413),
        (request("Transfer-Encoding: chunked"), 400),
        (request("Content-Length: 1", "Content-Length: 2"), 400),
        (request("Content-Length: -5"), 400),
        (request(*[f"X-{n}: 1" for n in range(200)]), 431),
        (request("X-Long: " + "x" * 100_000), 431),
        (request(path="/" + "x" * 100_000), 431),
        (request(path="/invocations%00"), 404),
        (request(path="/%0aping"), 404),
        (request(path="/invo\x00cations"), 400),
        (request(path="/../invocations"), 404),
        (b"CONNECT a.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET http://evil.example/ping HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        (b"\x00\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", 200),
    ],
)  # fmt: skip
def test_what_is_asked_wrongly_is_answered_at_once(shared: Endpoint, data: bytes, expected: int) -> None:
    assert status(shared, data) == expected


@pytest.mark.parametrize(
    "value", ["[" * 400 + "]" * 400, '"\\ud800"', "1e999", "NaN", "1" * 400, '{"a":' * 100 + "1" + "}" * 100]
)
def test_a_value_that_is_none_costs_nothing(shared: Endpoint, value: str) -> None:
    began = time.monotonic()
    assert 400 <= status(shared, request(body=f'[{{"a": {value}, "b": 1}}]'.encode())) < 500
    assert time.monotonic() - began < 10


def test_an_allowed_page_may_ask_and_read(shared: Endpoint) -> None:
    asks = {"origin": "https://app.example", "access-control-request-method": "POST"}
    allowed = shared.client.options("/invocations", headers=asks)
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (204, "https://app.example")
    answer = shared.client.post("/invocations", json=[{"a": 1, "b": 1}], headers={"origin": "https://app.example"})
    assert answer.headers["access-control-allow-origin"] == "https://app.example"


def test_slow_bodies_and_idle_connections_leave_room_for_others(shared: Endpoint, place: Served) -> None:
    """More connections than the process may have files, and more bytes of bodies than may be held."""
    before = len(place.log().splitlines())
    large = request("Content-Length: 99999", body=b"x" * 99_000)
    with contextlib.ExitStack() as stack:
        for number in range(300):
            link = stack.enter_context(connected(shared))
            with contextlib.suppress(OSError):
                link.sendall(large if number % 3 == 0 else b"POST /inv")
        time.sleep(1.2)
        for _ in range(5):
            began = time.monotonic()
            assert status(shared, request()) == 200
            assert time.monotonic() - began < 5
    told = place.log().splitlines()[before:]
    assert len(told) <= 2, told
    assert "Traceback" not in place.log()


@pytest.fixture(scope="module")
def unsigned(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A model without a signature, which gets whatever comes."""
    found = Served(tmp_path_factory.mktemp("unsigned"))
    found.promote(found.register(2, signature=None))
    return found


def test_what_a_model_without_a_signature_gives_never_keeps_the_others_out_of_the_table(unsigned: Served) -> None:
    """A list, a text or an integer among floats in one file of the log would stay out, and all others with it."""
    with unsigned.endpoint() as endpoint:
        for row, expected in (
            ({"a": [1], "b": 1}, 500),
            ({"a": 1, "b": 1}, 200),
            ({"a": 1.5, "b": 1}, 200),
            ({"a": [[1]], "b": 1}, 500),
            ({"a": True, "b": 1}, 200),
        ):
            assert endpoint.ask(row).status_code == expected, row
        for body in ("[[]]", "[{}]", '{"columns": [], "data": [[]]}'):
            assert endpoint.send(body.encode(), "application/json").status_code == 400, body
        for number in ("1e999", "-1e400", "9" * 30, "1" * 400):
            assert endpoint.send(f'[{{"a": {number}, "b": 1}}]'.encode(), "application/json").status_code == 422
            assert endpoint.send(f"a,b\n{number},1\n".encode(), "text/csv").status_code in (400, 422)
        assert endpoint.send(nested_arrow(60), ARROW_TYPE).status_code >= 400
    assert unsigned.rows()["value"].to_list() == [3.0, 4.0, 3.0]
    with unsigned.endpoint() as endpoint:
        assert endpoint.ask({"a": [1], "b": 1}).status_code == 500
    assert unsigned.rows().height == 3


def nested_arrow(levels: int) -> bytes:
    """A stream whose column `a` is a list of lists, so many deep."""
    dtype, value = pa.int64(), 1
    for _ in range(levels):
        dtype, value = pa.list_(dtype), [value]
    table, file = pa.table({"a": pa.array([value], dtype), "b": [1]}), io.BytesIO()
    with pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    return file.getvalue()


@pytest.mark.parametrize("levels", [1, 30, 63])
def test_nested_arrow_is_refused_at_once(shared: Endpoint, levels: int) -> None:
    began = time.monotonic()
    assert shared.send(nested_arrow(levels), ARROW_TYPE).status_code == 422
    assert time.monotonic() - began < 10


def test_a_chunked_body_without_an_end_is_ended_by_its_size(shared: Endpoint) -> None:
    head = request("Transfer-Encoding: chunked", "Content-Length: -", body=b"")
    with connected(shared) as link, contextlib.suppress(OSError):
        link.sendall(head)
        for _ in range(100):  # of at most 50 times 100 kB that are read to get the answer through
            link.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
    assert status(shared, request()) == 200


def test_a_reader_that_does_not_read_is_cut_off_and_a_slow_one_is_not() -> None:
    """The clock is passed in: it takes 20 s and a second for each 20 kB."""
    every = Connections(10, 1_000_000, lambda why: ("text/plain", why.what.encode()), "trikk.test")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * 50_000_000})

    async def answered() -> list[bool]:
        config = uvicorn.Config(app, http=every.protocol(), lifespan="off", log_config=None)
        config.load()
        loop, state = asyncio.get_running_loop(), ServerState()
        listening = await loop.create_server(
            lambda: config.http_protocol_class(config=config, server_state=state, app_state={}), "127.0.0.1", 0
        )
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname()[:2], limit=1000)
        writer.write(request())
        while not any(one.transport.get_write_buffer_size() for one in every._open):
            await asyncio.sleep(0.01)
        (one,), now, found = every._open, time.monotonic(), []
        for seconds in (0, 19):
            one.look(now + seconds)
            found.append(one.transport.is_closing())
        await reader.readexactly(20_000_000)
        one.look(now + 60)
        found.append(one.transport.is_closing())
        one.look(now + 3600)
        found.append(one.transport.is_closing())
        writer.close()
        listening.close()
        return found

    assert asyncio.run(answered()) == [False, False, False, True]


def test_a_head_that_does_not_end_and_one_that_never_begins_are_ended(shared: Endpoint) -> None:
    with connected(shared) as link:
        link.sendall(b"POST /invocations HTTP/1.1\r\nHost: localhost\r\n")
        began = time.monotonic()
        assert b" 408 " in link.recv(1000)
        assert time.monotonic() - began < 15


def test_requests_in_one_go_are_answered_in_turn(shared: Endpoint) -> None:
    with connected(shared) as link:
        link.sendall(request() * 20 + request("Connection: close"))
        answers = b""
        while part := link.recv(65536):
            answers += part
    assert answers.count(b"HTTP/1.1 200") == 21


def test_a_process_without_files_takes_no_connection_and_says_so_once(place: Served) -> None:
    with place.endpoint("--no-log", "--connections", "4000") as endpoint:
        assert status(endpoint, request()) == 200
        before = len(place.log().splitlines())
        pid = endpoint.process.pid
        files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (files, 4096))
        with contextlib.ExitStack() as stack:
            for _ in range(20):
                stack.enter_context(connected(endpoint))
            time.sleep(2.5)
        told = place.log().splitlines()[before:]
        assert sum("ulimit" in line for line in told) == 1, told
        assert len(told) < 10, told
        assert "Traceback" not in "".join(told)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (4096, 4096))
        assert status(endpoint, request()) == 200


def test_names_and_origins_are_checked_when_they_are_given() -> None:
    for hosts, origins in ((["http://x"], []), (["a b"], []), ([], ["app.example"]), ([], ["https://a/b"])):
        with pytest.raises(UsageError):
            Callers("127.0.0.1", hosts, origins)
    everywhere = Callers("0.0.0.0", ["Model.Example."], [])
    for host in ("10.0.0.1:8080", "[fe80::1]", "model.example", "localhost", f"{socket.gethostname()}:80"):
        assert everywhere.check([(b"host", host.encode())], "1.1") == ""
    with pytest.raises(Refused):
        everywhere.check([(b"host", b"rebound.example")], "1.1")
    assert Callers("::1", ["*"], []).check([(b"host", b"any.example")], "1.1") == ""


def test_what_is_refused_says_how_to_go_on(shared: Endpoint, place: Served) -> None:
    answer = shared.client.get("/ping", headers={"host": "model.example"})
    assert "--allow-host model.example" in json.loads(answer.content)["error"]["next"]
    assert "--allow-host" in place.log()  # for whoever looks why a deployment does not answer


def test_what_two_workers_give_goes_into_one_log(tmp_path: Path) -> None:
    """A worker knows nothing of the other's texts; together they would keep each other's rows out of the table."""
    served = Served(tmp_path)
    code = "class Shape:\n    def predict(self, frame):\n        return frame['a']\n"
    version = served.register_code(code, None)
    with served.endpoint("--workers", "2", reference=f"shape:{version}") as endpoint:
        assert endpoint.ask({"a": 1.5}).status_code == 200
        assert [endpoint.ask({"a": "x"}).status_code for _ in range(6)] == [500] * 6
        assert endpoint.ask({"a": 2}).status_code == 200
    assert served.rows()["value"].to_list() == [1.5, 2.0]
