"""What a server does when there is too much, too slow, or something breaks: a clear answer, and it goes on."""

from __future__ import annotations

import asyncio
import errno
import threading
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import pytest

from trikk.access.identity import LOCAL
from trikk.core.errors import (
    ArtifactMissing,
    Conflict,
    JournalError,
    MissingExtra,
    ParameterError,
    ProjectError,
    TrikkError,
    UnknownName,
)
from trikk.server.http import doors
from trikk.server.http.doors import Workers
from trikk.server.http.json_answers import encoded
from trikk.server.http.problems import problem_of
from trikk.server.http.routes import Route
from trikk.server.http.web_app import WebApp
from trikk.web.callers import Callers
from trikk.web.refused import Refused
from trikk.web.request_body import RequestBodies


def test_what_only_looks_does_not_wait_for_what_is_locked() -> None:
    unlocked = threading.Event()

    async def ask() -> list[object]:
        workers = Workers()
        stuck = [asyncio.create_task(workers.run(unlocked.wait, changes=True, longest=0.2)) for _ in range(8)]
        await asyncio.sleep(0)
        looked = await workers.run(lambda: "looked", changes=False)
        answers = await asyncio.gather(*stuck, return_exceptions=True)
        unlocked.set()
        while workers.busy:
            await asyncio.sleep(0.01)
        workers.close()
        return [looked, *answers]

    looked, *answers = asyncio.run(ask())
    assert looked == "looked"
    assert {(type(answer), getattr(answer, "status", 0)) for answer in answers} == {(Refused, 503)}
    # Those that a thread had begun with may be done all the same; the others are not, and say nothing of it.
    assert sum("Idempotency-Key" in str(answer) for answer in answers) == doors._CHANGING


def test_too_many_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "_WAITING", 3)
    goes_on = threading.Event()

    async def ask() -> None:
        workers = Workers()
        waiting = [asyncio.create_task(workers.run(goes_on.wait, changes=False)) for _ in range(3)]
        await asyncio.sleep(0.01)
        with pytest.raises(Refused, match="3 requests are waiting"):
            await workers.run(lambda: None, changes=False)
        goes_on.set()
        await asyncio.gather(*waiting)
        assert await workers.run(lambda: 1, changes=False) == 1
        workers.close()

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnknownName("run", "x", []), 404),
        (ArtifactMissing("gone"), 404),
        (ParameterError("n: missing"), 422),
        (Conflict("changed meanwhile"), 409),
        (JournalError("another process has kept the journal locked for too long"), 503),
        (ProjectError("it does not load"), 503),
        (MissingExtra("it", "s3"), 501),
        (OSError(errno.ENOSPC, "No space left on device"), 503),
        (OSError(errno.EACCES, "Permission denied", "/secret/place"), 500),
        (TrikkError("something else"), 500),
        (ValueError("a password in a text"), 500),
    ],
)  # fmt: skip
def test_an_error_has_a_status_and_words(error: Exception, status: int, caplog: pytest.LogCaptureFixture) -> None:
    problem = problem_of(error)
    assert problem.status == status
    assert problem.title
    if isinstance(error, TrikkError):
        assert problem.what == error.what
        assert not caplog.records
    elif status == 500:  # what nobody has foreseen is in the log, and not in the answer
        assert "password" not in problem.what + str(problem.next)
        assert "secret" not in problem.what + str(problem.next)
        assert caplog.records


def test_what_nobody_has_foreseen_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: object) -> Any:
        raise ValueError("a password in a text")

    async def ask() -> httpx.Response:
        counted = SimpleNamespace(inc=lambda: None, observe=lambda _: None)
        metrics = SimpleNamespace(requests=SimpleNamespace(labels=lambda *_: counted), seconds=counted)
        doors: Any = SimpleNamespace(workers=Workers(), metrics=metrics)
        guard: Any = SimpleNamespace(identify=lambda *_, **__: asyncio.sleep(0, LOCAL), admit=lambda who, *_: who)
        proxies: Any = SimpleNamespace(resolve=lambda scope: scope)
        connections: Any = SimpleNamespace(say=lambda *_: None)
        app = WebApp(
            doors,
            [Route("GET", "/broken", broken)],
            lambda: ((), None),
            proxies,
            Callers("127.0.0.1", [], []),
            guard,
            RequestBodies(1000, connections),
            connections,
        )
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            answer = await client.get("/broken")
        doors.workers.close()
        return answer

    answer = asyncio.run(ask())
    assert (answer.status_code, "password" in answer.text) == (500, False)
    assert [record.name for record in caplog.records if record.exc_info] == ["trikk.server"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}, "\ud800", {"\udcff": 1.5}])
def test_any_value_can_be_answered(value: object) -> None:
    msgspec.json.decode(encoded({"value": value}).replace(b"\\ud800", b"").replace(b"\\udcff", b""))
