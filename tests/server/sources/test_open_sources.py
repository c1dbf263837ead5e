"""Sources, engine and journal together: what arrives starts one run, by however many servers it is seen."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace
from tests.server.schedule.places import GRAPHS, declared, rows_of, ticks_of

from trikk.pipeline.parameters.trigger_event import Event
from trikk.runs.journals.journal import Journal
from trikk.runs.journals.sqlite_journal import SqliteJournal
from trikk.server.schedule.engine import Engine
from trikk.server.schedule.trigger_standing import set_paused
from trikk.server.sources.messages import kafka_source
from trikk.server.sources.open_sources import open_sources
from trikk.server.sources.source_threads import SourceThreads
from trikk.storage.tables.versioned_tables import Tables, Write
from trikk.triggers import AfterRun, Cron, FileArrived, Message, TableChanged, Webhook
from trikk.triggers.declaration import Trigger

_SECONDS = 60
_SETTLE = 0.2


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(kafka_source, "_ANSWER", 1.0)
    journal = SqliteJournal(tmp_path / "journal.db")
    settings = SimpleNamespace(name="city", environment="main", location=lambda _: "", timezone="UTC")
    yield SimpleNamespace(
        root=tmp_path, journal=journal, settings=settings, tables=Tables(str(tmp_path / "tables"))
    )
    journal.close()


@dataclass(frozen=True, slots=True)
class Serving:
    """A server's sources, and how often each has looked by the name of its trigger."""

    sources: SourceThreads
    looks: Counter[str]

    def look_again(self, times: int = 2) -> None:
        """Wait until each has begun and ended so many looks more."""
        before = self.looks.copy()
        wait_until(lambda: all(self.looks[name] > before[name] + times for name in self.sources.health()))


def counted(source: Any, looks: Counter[str]) -> Callable[[], list[Event]]:
    look = source.look

    def counting() -> list[Event]:
        looks[source.trigger] += 1
        return look()  # type: ignore[no-any-return]

    return counting


@contextlib.contextmanager
def serving(project: Any, **triggers: Trigger) -> Iterator[Serving]:
    """A server that has begun to look."""
    engine = Engine(project)
    files = {
        name: replace(each, settle=_SETTLE) for name, each in triggers.items() if isinstance(each, FileArrived)
    }
    engine.adopt(declared(**triggers | files), GRAPHS, time.time())
    deliver = lambda trigger, event: not engine.deliver(trigger, event, time.time()).waits  # noqa: E731
    sources = open_sources(project, engine.declared.values(), deliver)
    looks: Counter[str] = Counter()
    for watched in sources._watched:
        watched.source.every = 0.1
        watched.source.look = counted(watched.source, looks)
    sources.start(wait=20)
    try:
        yield Serving(sources, looks)
    finally:
        sources.close()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def pause(project: Any, *, paused: bool) -> None:
    trigger = declared(t=FileArrived("inbox/*.csv"))["t"]
    set_paused(project.journal, trigger, paused=paused, by="me", now=datetime.now(UTC))


def run(journal: Journal, name: str, state: str) -> None:
    journal.create(name, "ingest", {}, at=1)
    journal.append(name, "run.started", {}, at=1)
    journal.append(name, f"run.{state}", {}, at=1)


def test_whatever_arrives_starts_one_run_between_three_servers(project: Any) -> None:
    triggers: dict[str, Trigger] = {
        "file": FileArrived("inbox/*.csv"),
        "table": TableChanged("counts"),
        "run": AfterRun("ingest"),
        "clock": Cron("0 4 * * *"),
        "hook": Webhook("orders", secret="${KEY}"),
    }
    (project.root / "inbox").mkdir()
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(serving(project, **triggers)) for _ in range(3)]
        assert set(servers[0].sources.health()) == {"file", "table", "run"}
        for number in range(5):
            (project.root / f"inbox/{number}.csv").write_text("1")
            run(project.journal, f"r{number}", "succeeded")
            run(project.journal, f"f{number}", "failed")
        project.tables.write("counts", Write("append", pl.DataFrame({"a": [1]})), identity="w", origin={})
        wait_until(lambda: [len(rows_of(project, name)) for name in ("file", "table", "run")] == [5, 1, 5])
        for server in servers:
            server.look_again()
    assert ticks_of(project, "table") == ["counts/0"]
    assert sorted(ticks_of(project, "run")) == [f"r{number}" for number in range(5)]
    events: list[Any] = [row.parameters["event"] for row in rows_of(project, "file")]
    assert sorted(event["path"] for event in events) == [f"inbox/{number}.csv" for number in range(5)]
    assert len(project.journal.runs(limit=None)) == 5 + 1 + 5 + 10
    with serving(project, **triggers) as following:
        following.look_again()
    assert len(project.journal.runs(limit=None)) == 5 + 1 + 5 + 10


def test_what_arrives_while_a_trigger_is_paused_has_its_run_when_it_goes_on(project: Any) -> None:
    (project.root / "inbox").mkdir()
    with serving(project, t=FileArrived("inbox/*.csv")) as server:
        pause(project, paused=True)
        (project.root / "inbox/a.csv").write_text("1")
        server.look_again(1)
        time.sleep(_SETTLE)
        server.look_again(1)  # it has been given by then
        assert ticks_of(project) == []
        pause(project, paused=False)
        wait_until(lambda: len(ticks_of(project)) == 1)


def test_what_can_not_be_opened_is_said_and_the_rest_goes_on(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH", raising=False)
    (project.root / "inbox").mkdir()
    triggers: dict[str, Trigger] = {
        "file": FileArrived("inbox/*.csv"),
        "unset": Message("kafka://user:${NO_SUCH}@127.0.0.1:9/topic"),
        "away": Message("kafka://127.0.0.1:9/topic"),
    }
    with serving(project, **triggers) as server:
        sources = server.sources
        wait_until(lambda: all(sources.health()[name].away_since for name in ("unset", "away")))
        health = sources.health()
        assert "NO_SUCH" in health["unset"].why
        assert health["away"].why.startswith("the broker is away")
        (project.root / "inbox/a.csv").write_text("1")
        wait_until(lambda: len(ticks_of(project, "file")) == 1)
