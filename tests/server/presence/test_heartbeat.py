"""The call to somebody outside: made while all is well, and harmless whatever answers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from trikk.core.errors import UsageError
from trikk.server.presence.heartbeat import EVERY, Heartbeat
from trikk.server.presence.turns import Turns
from trikk.testing import ManualClock


class Listener(ThreadingHTTPServer):
    """Counts calls, and answers each with `status`."""

    status = 200

    def __init__(self) -> None:
        self.paths: list[str] = []
        super().__init__(("127.0.0.1", 0), Answer)


class Answer(BaseHTTPRequestHandler):
    server: Listener

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def called(heartbeat: Heartbeat) -> None:
    heartbeat.turn(0.0)
    assert heartbeat._calling is not None
    heartbeat._calling.join(20)
    assert not heartbeat._calling.is_alive()


def test_it_is_called_every_minute_while_all_parts_turn(
    listener: Listener, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    turns = Turns(clock)
    turns.expect("schedule", within=30.0)
    monkeypatch.setenv("PING", "s3cr3t-id")
    written = f"http://127.0.0.1:{listener.server_port}/${{PING}}"
    heartbeat = Heartbeat(written, clock, turns.stuck)
    called(heartbeat)
    heartbeat.turn(0.0)
    assert listener.paths == ["/s3cr3t-id"]
    clock.advance(EVERY)
    heartbeat.turn(0.0)
    assert turns.stuck() == ["schedule"]
    assert len(listener.paths) == 1
    turns.turned("schedule")
    clock.advance(EVERY / 2)
    turns.turned("schedule")
    clock.advance(EVERY / 2)
    called(heartbeat)
    assert len(listener.paths) == 2
    assert [record.message for record in caplog.records] == [
        "heartbeat: it is left out, for these do not turn: schedule"
    ]


def test_a_failure_to_reach_it_hurts_nothing_and_is_logged_once_without_the_address(
    listener: Listener, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    monkeypatch.setenv("PING", f"http://127.0.0.1:{listener.server_port}/s3cr3t-id")
    heartbeat = Heartbeat("${PING}", clock, list)
    listener.status = 500
    for _ in range(2):
        called(heartbeat)
        clock.advance(EVERY)
    listener.server_close()
    listener.shutdown()
    called(heartbeat)
    messages = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert messages == ["heartbeat: the answer was 500", "heartbeat: it can't be sent (ConnectionRefusedError)"]
    assert "s3cr3t" not in caplog.text


@pytest.mark.parametrize("written", ["ftp://x.example", "file:///etc/passwd", 5, "", "hc-ping.com/x"])
def test_what_is_no_address_of_the_web_is_refused_without_repeating_it(written: object) -> None:
    with pytest.raises(UsageError) as refused:
        Heartbeat(written, ManualClock(), list)  # type: ignore[arg-type]
    assert str(written) not in str(refused.value) or written == ""


def test_a_variable_that_is_not_set_or_holds_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PING", raising=False)
    with pytest.raises(UsageError, match="PING"):
        Heartbeat("https://hc-ping.com/${PING}", ManualClock(), list)
    monkeypatch.setenv("PING", "file:///etc/passwd")
    with pytest.raises(UsageError, match="no address"):
        Heartbeat("${PING}", ManualClock(), list)
