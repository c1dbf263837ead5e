"""What a server does when there is too much, too slow, or something breaks: a clear answer, and it goes on."""

from __future__ import annotations

import asyncio
import errno
import threading

import msgspec
import pytest

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
from trikk.web.refused import Refused


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


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}, "\ud800", {"\udcff": 1.5}])
def test_any_value_can_be_answered(value: object) -> None:
    msgspec.json.decode(encoded({"value": value}).replace(b"\\ud800", b"").replace(b"\\udcff", b""))
