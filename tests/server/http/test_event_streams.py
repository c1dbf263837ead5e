"""Events of runs as streams, against a real server: whole, in order, from where a reader left off."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.execution.command import until
from tests.server.served import RunningServer, ServedProject, read_events

from trikk.runs.events import EventKind
from trikk.runs.journals.lease import Holder
from trikk.server.http.event_streams import EventStreams
from trikk.server.server_process import GRACE


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> ServedProject:
    return ServedProject(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def server(place: ServedProject) -> Iterator[RunningServer]:
    with place.server() as running:
        yield running


def test_a_stream_has_every_event_and_ends_with_the_run(server: RunningServer, place: ServedProject) -> None:
    run = server.post("/runs", {"pipeline": "waits", "parameters": {"file": "go"}}, 201)["id"]
    seen = []
    with server.client.stream("GET", f"/api/v1/runs/{run}/events") as stream:
        for event in read_events(stream.iter_lines()):
            seen.append(event)
            if event["event"] == "step.started":
                (place.root / "go").touch()
    recorded = place.project.journal.events(run)
    assert [(int(e["id"]), e["event"]) for e in seen[:-1]] == [(e.seq, e.kind) for e in recorded]
    assert seen[0]["data"] == {
        "seq": recorded[0].seq,
        "kind": "run.created",
        "at": recorded[0].at,
        "body": recorded[0].body,
    }
    assert (seen[-1]["event"], seen[-1]["data"]) == ("end", {"state": "succeeded"})
    # Afterwards: all of them at once, the rest of them, and no stream where there is nothing to come.
    assert server.events(run) == seen
    assert server.events(run, recorded[2].seq) == seen[3:]
    last = {"last-event-id": str(recorded[-1].seq)}
    assert server.client.get(f"/api/v1/runs/{run}/events", headers=last).status_code == 204
    wrong = server.client.get(f"/api/v1/runs/{run}/events", headers={"last-event-id": "first"})
    assert wrong.status_code == 400


def test_a_server_that_ends_ends_its_streams_itself(tmp_path: Path) -> None:
    place = ServedProject(tmp_path / "project")
    with place.server() as server:
        run = server.post("/runs", {"pipeline": "waits", "parameters": {"file": "go"}}, 201)["id"]
        server.ended(run, "running")
        with server.client.stream("GET", f"/api/v1/runs/{run}/events") as stream:
            lines = stream.iter_lines()
            assert next(read_events(lines))["event"] == "run.created"
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            for _ in lines:  # an end in the middle of a chunk would raise
                pass
            server.process.wait(GRACE)
            assert time.monotonic() - began < GRACE
    (place.root / "go").touch()


def make_run(place: ServedProject, run: str, events: int = 0) -> str:
    """A run that this process has, so that no server goes on with it."""
    place.project.journal.create(run, "add", {"parameters": {}}, at=1.0)
    place.project.journal.acquire(run, Holder.current(), ttl=60.0, now=1.0)
    place.project.journal.append(run, EventKind.RUN_STARTED, {}, at=2.0)
    add_events(place, run, events)
    return run


def add_events(place: ServedProject, run: str, count: int) -> None:
    place.project.journal.append_many(run, [("step.noted", {"step": "s"})] * count, at=3.0)


async def taken(streams: EventStreams, run: str, count: int) -> str:
    """The text of a stream until it has so many events."""
    text = ""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(30):
            async for part in streams.of(run, 0):
                text += part.decode()
                if text.count("\nid: ") >= count:
                    break
    return text


def test_readers_of_one_run_share_its_looks(tmp_path: Path) -> None:
    place = ServedProject(tmp_path / "project")
    run = make_run(place, "abc")

    async def follow() -> tuple[list[str], int]:
        streams = EventStreams(place.project)
        readers = [asyncio.create_task(taken(streams, run, 3)) for _ in range(200)]
        await asyncio.sleep(1.0)
        looks = streams.looks
        place.project.journal.append(run, "step.noted", {"step": "late"}, at=4.0)
        texts = await asyncio.gather(*readers)
        streams.end()
        return texts, looks

    texts, looks = asyncio.run(follow())
    assert {text.count("\nid: ") for text in texts} == {3}
    assert len(set(texts)) == 1
    assert looks <= 6  # in a second, however many readers


def test_a_long_run_is_read_in_parts_and_whole(tmp_path: Path) -> None:
    place = ServedProject(tmp_path / "project")
    run = make_run(place, "abc", 1500)

    async def follow() -> list[str]:
        streams = EventStreams(place.project)
        early = asyncio.create_task(taken(streams, run, 3002))
        await until_async(lambda: streams.looks)
        add_events(place, run, 1500)
        late = await taken(streams, run, 3002)
        streams.end()
        return [await early, late]

    expected = [e.seq for e in place.project.journal.events(run)]
    assert len(expected) == 1502
    for text in asyncio.run(follow()):
        ids = [int(line.removeprefix("id: ")) for line in text.splitlines() if line.startswith("id: ")]
        assert ids[:1502] == expected
        assert ids == sorted(set(ids))
        assert len(ids) == 3002


async def until_async(happened: object) -> None:
    assert callable(happened)
    while not happened():
        await asyncio.sleep(0.01)


def test_an_idle_stream_is_told_that_it_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = ServedProject(tmp_path / "project")
    run = make_run(place, "abc")
    monkeypatch.setattr("trikk.server.http.event_streams._BEAT", 0.05)

    async def follow() -> list[bytes]:
        streams, parts = EventStreams(place.project), []
        async for part in streams.of(run, 0):
            parts.append(part)
            if parts.count(b": nothing new\n\n") == 2:
                streams.end()
        return parts

    assert asyncio.run(follow())[-1] == b": nothing new\n\n"


def test_streams_go_on_after_a_look_that_failed_unforeseen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ServedProject(tmp_path / "project")
    run = make_run(place, "abc")
    looks = iter([ValueError("not foreseen")])
    monkeypatch.setattr("trikk.server.http.event_streams._AFTER_TROUBLE", 0.05)
    monkeypatch.setattr(EventStreams, "_look", fails_first(EventStreams._look, looks))

    async def follow() -> str:
        streams = EventStreams(place.project)
        text = await taken(streams, run, 2)
        streams.end()
        return text

    assert asyncio.run(follow()).count("\nid: ") == 2
    assert next(looks, None) is None


def fails_first(look: Any, errors: Iterator[Exception]) -> Any:
    """A look that first raises these, one each time."""

    def looked(streams: EventStreams, known: dict[str, int]) -> Any:
        if (error := next(errors, None)) is not None:
            raise error
        return look(streams, known)

    return looked


def test_a_stream_goes_on_when_its_run_is_resumed(tmp_path: Path) -> None:
    place = ServedProject(tmp_path / "project")
    run = make_run(place, "abc")
    journal = place.project.journal

    async def follow() -> bytes:
        streams, text = EventStreams(place.project), b""
        async for part in streams.of(run, 0):
            text += part
            if b"run.created" in part:
                journal.append(run, EventKind.RUN_FAILED, {"error": "no"}, at=5.0)
                journal.append(run, EventKind.RUN_RESUMED, {}, at=6.0)
            elif b"run.resumed" in part:
                journal.append(run, EventKind.RUN_SUCCEEDED, {}, at=7.0)
        streams.end()
        return text

    text = asyncio.run(follow()).decode()
    kinds = [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]
    assert kinds[2:] == ["run.failed", "run.resumed", "run.succeeded", "end"]


def test_a_thousand_streams_are_open_at_once_and_gone_at_once(server: RunningServer, place: ServedProject) -> None:
    run = make_run(place, "idle")

    async def open_all() -> None:
        host, port = server.url.removeprefix("http://").split(":")
        links = []
        for _ in range(1000):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"GET /api/v1/runs/{run}/events HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            links.append((reader, writer))
        for reader, _ in links:
            await asyncio.wait_for(reader.readuntil(b"run.started"), 30)
        assert server.metric("trikk_event_streams") == 1000
        for _, writer in links:
            writer.close()

    asyncio.run(open_all())
    until(lambda: server.metric("trikk_event_streams") == 0)
    place.project.journal.append(run, EventKind.RUN_CANCELLED, {"error": "by hand"}, at=9.0)
