"""What a project with servers is told without asking: late ticks, long runs, lost servers."""

from __future__ import annotations

from dataclasses import replace as replace_settings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from trikk.alerts.config import DEFAULTS, alert_settings
from trikk.alerts.incidents.book import Book
from trikk.alerts.incidents.lifecycle import decide
from trikk.alerts.rules.kinds import checked
from trikk.alerts.rules.rule import Reading, Scene
from trikk.alerts.rules.serving.trigger_rules import usual_limit
from trikk.alerts.rules.sources import see
from trikk.core.errors import UsageError
from trikk.core.settings import Settings
from trikk.execution.approvals import decisions
from trikk.execution.project import Project
from trikk.runs.journals.lease import Holder
from trikk.runs.journals.server_beats import Server
from trikk.runs.living_servers import LOST_AFTER, living
from trikk.server.presence.absence import note_absence
from trikk.server.schedule import trigger_standing
from trikk.server.sources.source_memory import Kind, Memory
from trikk.streams.stream_state import StreamStatus
from trikk.testing import MemoryJournal
from trikk.triggers import Cron, FileArrived, Message
from trikk.triggers.declared import AnyTrigger, Declared

NOW = datetime(2026, 3, 26, 12, 0, tzinfo=UTC)


class World:
    """A project in memory, with a time that the test sets."""

    def __init__(self, root: Path) -> None:
        self.project = Project(Settings(root=root, name="city"))
        self.project.__dict__["journal"] = MemoryJournal()
        self.project.is_driven = lambda run: True  # type: ignore[method-assign]
        self.now = NOW
        self.pipelines: list[str] = ["nightly"]
        self.book = Book(self.project.journal)

    @property
    def at(self) -> float:
        return self.now.timestamp()

    def beat(self, name: str = "one", **fields: Any) -> Server:
        holder = Holder(f"host-{name}", "", 1, 0.0)
        known = {server.id: server for server in self.project.journal.servers()}
        server = known.get(name, Server(id=name, holder=holder, since=self.at))
        server = replace(server, at=self.at, **fields)
        self.project.journal.beat(server)
        return server

    def adopt(self, trigger: AnyTrigger) -> None:
        trigger_standing.adopt(self.project.journal, Declared("nightly", trigger, ""), self.now)

    def run(self, name: str, created: float, took: float | None, state: str = "succeeded", **origin: Any) -> None:
        journal, body = self.project.journal, {"origin": {"kind": "trigger", **origin}, "parameters": {}}
        journal.create(name, "nightly", body, at=created)
        if state == "queued":
            return
        journal.append(name, "run.started", {}, at=created)
        if took is not None:
            journal.append(name, f"run.{state}", {}, at=created + took)

    def readings(self) -> list[Reading]:
        servers = self.project.journal.servers()
        there = living(servers, self.at)
        scene = Scene(self.project, self.now, pipelines=self.pipelines, servers=servers, living=there)
        seen = see(DEFAULTS, scene)
        assert seen.errors == []
        return [reading for reading in seen.readings if reading.points]

    def bad(self) -> dict[str, str]:
        """What is wrong, by cause."""
        return {reading.cause: reading.points[-1].text for reading in self.readings() if reading.points[-1].bad}

    def changes(self) -> list[str]:
        """What a look changes about incidents."""
        changes = []
        for reading in self.readings():
            while decision := decide(latest := self.book.latest(reading.cause), reading, self.at):
                assert self.book.apply(latest, reading.cause, decision, at=self.at, channels=())
                changes.append(f"{reading.cause} {decision.kind.word}")
        return changes


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_project_without_servers_is_told_nothing(world: World) -> None:
    world.adopt(Cron("0 4 * * *", name="early"))
    world.run("r1", world.at - 1e5, None, "queued")
    world.now += timedelta(days=3)
    assert [reading.cause for reading in world.readings()] == ["nightly.asks", "_project.code"]
    world.beat()
    world.now += timedelta(days=8)
    assert world.bad() == {}, "a server that was given up long ago is missed by nobody"


def test_a_tick_that_is_neither_started_nor_skipped_opens_an_incident_until_it_is(world: World) -> None:
    world.adopt(Cron("0 13 * * *", name="lunch"))
    world.now += timedelta(hours=1, minutes=4)
    world.beat()
    assert world.changes() == []
    world.now += timedelta(minutes=2)
    world.beat()
    assert world.bad() == {"lunch.came": "nothing was started at 2026-03-26 13:00 UTC"}
    (reading,) = (one for one in world.readings() if one.points[-1].bad)
    commands = reading.rule.commands("lunch", reading.points[-1])
    assert commands[-1] == "trikk fire lunch --for 2026-03-26T13:00:00+00:00"
    assert world.changes() == ["lunch.came opened"]
    declared = Declared("nightly", Cron("0 13 * * *", name="lunch"), "")
    trigger_standing.set_paused(world.project.journal, declared, paused=True, by="ada", now=world.now)
    assert world.bad() == {}
    end = world.now + timedelta(days=1)
    trigger_standing.set_paused(world.project.journal, declared, paused=True, by="ada", now=world.now, until=end)
    assert world.bad() == {}
    trigger_standing.set_paused(world.project.journal, declared, paused=False, by="ada", now=world.now)
    assert world.changes() == ["lunch.came resolved"]


def test_a_trigger_that_waits_for_events_or_is_gone_is_never_late(world: World) -> None:
    world.adopt(FileArrived("inbox/*.csv", name="inbox"))
    world.adopt(Cron("0 13 * * *", name="lunch"))
    trigger_standing.retire(world.project.journal, {}, world.now)
    world.now += timedelta(days=2)
    world.beat()
    assert world.bad() == {}


def test_a_run_is_late_by_what_such_runs_usually_take(world: World) -> None:
    world.beat()
    for number in range(5):
        world.run(f"r{number}", world.at - 90_000 + number, 600.0)
        world.run(f"hand{number}", world.at - 90_000 + number, 9.0, kind="manual")
    world.run("slow", world.at - 1799, None)
    assert world.bad() == {}
    world.now += timedelta(seconds=2)
    world.beat()
    assert world.bad() == {"nightly.usual": "run slow has been running for over 30 min 00 s (usually 10 min 00 s)"}
    assert world.changes() == ["nightly.usual opened"]
    assert world.changes() == [], "a look that sees the same writes nothing"
    world.project.journal.append("slow", "run.succeeded", {}, at=world.at)
    assert "took 30 min 01 s" in world.bad()["nightly.usual"]
    world.now += timedelta(hours=1)
    world.beat()
    world.run("next", world.at - 700, 600.0)
    assert "nightly.usual resolved" in world.changes()


def test_what_is_usual_is_not_known_from_few_runs_and_quick_ones_have_minutes_to_spare(world: World) -> None:
    assert (usual_limit(None), usual_limit(1.0), usual_limit(3600.0)) == (None, 301.0, 10800.0)
    world.beat()
    for number in range(4):
        world.run(f"r{number}", world.at - 90_000 + number, 1.0)
    world.run("slow", world.at - 9000, 8000.0)
    assert world.bad() == {}


def test_people_are_told_of_each_question_until_everything_is_decided(world: World) -> None:
    journal = world.project.journal

    def ask(run: str, step: str) -> None:
        question = {"step": step, "question": "publish?", "shown": {"mae": 1.5}, "expires": world.at + 3600}
        journal.append(run, "approval.asked", {**question, "on_expiry": "refuse"}, at=world.at)

    def told() -> list[str]:
        world.now += timedelta(seconds=60)
        changes = world.changes()
        incident = world.book.latest("nightly.asks")
        assert changes in ([], [f"nightly.asks {incident.told[-1].kind.word}"]) if incident else not changes
        return [entry.why for entry in incident.told] if changes and incident else []

    world.run("r1", world.at, None)
    assert told() == []
    ask("r1", "first")  # while other steps go on
    assert told() == ["run r1 asks: publish?"]
    (reading,) = (one for one in world.readings() if one.points[-1].bad)
    point = reading.points[-1]
    assert point.facts["mae"] == "1.5"
    assert "refused at 2026-03-26 13:01 UTC" in str(point.facts["without an answer"])
    assert reading.rule.commands("nightly", point)[1] == "trikk approve r1 first --why ..."
    journal.append("r1", "run.waiting", {}, at=world.at)
    assert told() == []
    decisions.decide(journal, "r1", approved=True, by="ada", why="good", now=world.at)
    world.run("r2", world.at, None)
    ask("r2", "first")  # between two looks: the incident stays open
    assert told()[-1] == "run r2 asks: publish?: asked since the last message"
    journal.append("r2", "run.waiting", {}, at=world.at)
    late = checked({"name": "late", "kind": "run did not come", "pipeline": "nightly", "by": "12:02"})
    (reading,) = late.readings(Scene(world.project, world.now, pipelines=["nightly"]), "nightly")
    assert reading.points[-1].text == "2026-03-26: no run by 12:02; run r2 waits for a decision"
    decisions.decide(journal, "r2", approved=False, by="ada", why="bad", now=world.at)
    assert told()[-1] == "everything is decided"


def test_a_run_that_waits_for_an_hour_is_told_but_not_one_of_a_backfill(world: World) -> None:
    world.beat()
    world.run("r1", world.at, None, "queued")
    world.run("r2", world.at - 1e5, None, "queued", kind="backfill")
    world.now += timedelta(minutes=59)
    world.beat()
    assert world.bad() == {}
    world.now += timedelta(minutes=2)
    world.beat()
    assert world.bad() == {"nightly.waits": "run r1 waits since 2026-03-26 12:00 UTC"}
    assert world.changes() == ["nightly.waits opened"]
    world.project.journal.append("r1", "run.started", {}, at=world.at)
    assert world.changes() == ["nightly.waits resolved"]


def test_a_server_that_is_gone_is_missed_by_its_peer_until_another_takes_its_place(world: World) -> None:
    world.beat("north")
    world.beat("south")
    world.now += timedelta(seconds=LOST_AFTER)
    world.beat("south")
    assert world.changes() == [], "its place may be taken in a moment"
    world.now += timedelta(seconds=1)
    world.beat("south")
    assert world.changes() == ["_servers.away opened"]
    assert world.bad()["_servers.away"] == (
        "server north on host-north, last heard of 2026-03-26 12:00 UTC, is away; "
        "1 of the project's servers is there"
    )
    world.now += timedelta(minutes=5)
    world.beat("south")
    assert world.changes() == []
    world.beat("north-again")
    assert world.changes() == ["_servers.away resolved"]
    world.project.journal.leave("south", at=world.at)
    world.now += timedelta(minutes=5)
    world.beat("north-again")
    assert world.changes() == [], "who leaves in order is not missed"


def test_a_server_that_returns_tells_what_came_due_while_none_was_there(world: World) -> None:
    trigger = Cron("0 13 * * *", name="lunch")
    triggers = {"lunch": Declared("nightly", trigger, "")}
    journal = world.project.journal
    world.adopt(trigger)
    assert note_absence(journal, [], triggers, world.at) == {}
    world.beat("north")
    world.now += timedelta(minutes=30)
    assert note_absence(journal, journal.servers(), triggers, world.at) == {}, "nothing came due"
    world.now += timedelta(days=1)
    known = journal.servers()
    for _ in range(2):
        assert note_absence(journal, known, triggers, world.at) == {"lunch": 1}
    assert len(journal.entries("serving")) == 1
    world.beat("south")
    assert sorted(world.changes()) == ["_absence.away opened", "lunch.came opened"]
    assert world.bad() == {
        "_absence.away": "no server was there from 2026-03-26 12:00 UTC to 2026-03-27 12:30 UTC; "
        "due in that time: lunch 1x",
        "lunch.came": "nothing was started at 2026-03-26 13:00 UTC",
    }
    world.now += timedelta(hours=1, seconds=1)
    world.beat("south")
    assert "_absence.away resolved" in world.changes()
    assert note_absence(journal, journal.servers(), triggers, world.at + 10, lambda _: None) == {}, "one is there"


def test_what_a_server_says_of_its_sources_parts_and_code_is_told(world: World) -> None:
    world.adopt(FileArrived("inbox/*.csv", name="inbox"))
    away = {"what": "no such bucket", "where": "s3://x", "next": "make it", "since": world.at}
    says = {
        "source inbox": away,
        "part queue": {**away, "what": "it can't"},
        "code": {**away, "what": "no module"},
    }
    world.beat(says=says)
    assert set(world.bad()) == {"_project.code"}, "the rest may be over in a moment"
    world.now += timedelta(minutes=3)
    world.beat(says=says)
    assert world.bad() == {
        "_parts.trouble": "server one on host-one (queue): it can't",
        "inbox.trouble": "server one on host-one: no such bucket",
        "_project.code": "no module",
    }
    causes = ["_parts.trouble", "_project.code", "inbox.trouble"]
    assert sorted(world.changes()) == [f"{cause} opened" for cause in causes]
    world.now += timedelta(minutes=1)
    world.beat(says={})
    assert sorted(world.changes()) == [
        "_parts.trouble resolved",
        "_project.code resolved",
        "inbox.trouble resolved",
    ]


def test_a_message_that_was_set_aside_is_told_for_an_hour(world: World) -> None:
    world.adopt(Message("kafka://host/orders", name="orders"))
    world.beat()
    memory = Memory(world.project.journal, "orders", "")
    assert world.bad() == {}
    for offset in range(2):
        about = {"topic": "orders", "partition": 0, "offset": offset, "payload": "c2VjcmV0"}
        memory.set_aside(f"orders/0/{offset}@5", "it is no text", {**about}, world.at)
        assert world.bad() == {"orders.set_aside": f"message orders/0/{offset}@5 was set aside: it is no text"}
        (reading,) = (one for one in world.readings() if one.points[-1].bad)
        assert reading.points[-1].facts == {"topic": "orders", "partition": 0, "offset": offset}
        assert world.changes() == [f"orders.set_aside {'updated' if offset else 'opened'}"]
        world.now += timedelta(minutes=30)
        world.beat()
    assert world.changes() == []
    world.now += timedelta(minutes=30)
    world.beat()
    assert world.changes() == ["orders.set_aside resolved"]


def test_what_comes_again_on_the_same_day_is_told_again(world: World) -> None:
    journal, trigger = world.project.journal, Cron("* * * * *", name="often")
    triggers = {"often": Declared("nightly", trigger, "")}
    memory = Memory(journal, "often", "")

    def go_wrong(number: int) -> None:
        world.now += timedelta(minutes=3)
        for _ in range(2):
            assert note_absence(journal, journal.servers(), triggers, world.at, lambda _: None) == {"often": 3}
        trigger_standing.adopt(journal, triggers["often"], world.now)
        memory.set_aside(f"orders/0/{number}@5", "it is no text", {}, world.at)
        world.beat(says={"code": {"what": f"no module m{number}", "where": "", "next": "", "since": world.at}})

    def told() -> list[str]:
        return sorted(change.removesuffix(" opened") for change in world.changes() if change.endswith(" opened"))

    world.adopt(trigger)
    world.beat()
    causes = ["_absence.away", "_project.code", "often.set_aside"]
    go_wrong(1)
    assert told() == causes
    world.now += timedelta(hours=1)
    world.beat(says={})
    assert sorted(change for change in world.changes() if "came" not in change) == [
        f"{c} resolved" for c in causes
    ]
    go_wrong(2)
    assert told() == [], "it has only just been told"
    world.now += timedelta(minutes=30)
    world.beat()
    assert told() == causes, "nothing that lasts or was lost is passed over"


def test_they_can_be_changed_named_and_left_out(tmp_path: Path) -> None:
    rules = [
        {"name": "slow", "kind": "waits longer than", "longer_than": "2h", "pipeline": "nightly"},
        {"name": "late", "kind": "trigger did not come", "trigger": "lunch", "longer_than": "30m"},
    ]
    assert [rule.to_json()["budget"] for rule in map(checked, rules)] == [7200.0, 1800.0]
    assert checked({"name": "late", "kind": "trigger did not come"}).to_json()["budget"] == 300.0
    with pytest.raises(UsageError, match="about a trigger"):
        checked({"name": "late", "kind": "trigger did not come", "pipeline": "nightly"})
    settings = alert_settings(Settings(root=tmp_path, name="x", alerts={"defaults": False}))
    assert settings.rules == ()


def test_a_stream_that_brings_nothing_is_late_until_it_is_there_again(world: World, tmp_path: Path) -> None:
    section = {"from": "inbox/*.jsonl", "table": "readings", "expected": "5m"}
    world.project.settings = replace_settings(world.project.settings, streams={"readings": section})
    began = world.at
    world.beat(says=said(began=began, last=None))
    assert world.changes() == []
    world.now += timedelta(minutes=4)
    world.beat(says=said(began=began, last=world.at))
    world.now += timedelta(minutes=6)
    world.beat()
    assert world.bad() == {"stream/readings.late": "the last rows came 2026-03-26 12:04 UTC, expected every 5 min"}
    assert world.changes() == ["stream/readings.late opened"]
    world.beat(says=said(began=began, last=world.at))
    assert world.changes() == ["stream/readings.late resolved"]
    world.now += timedelta(minutes=1)
    away = {"what": "the broker is away", "next": "", "since": (world.now - timedelta(minutes=3)).isoformat()}
    Memory(world.project.journal, "stream/readings", "").set_aside("a/0/1", "no JSON", {}, world.at)
    Memory(world.project.journal, "stream/readings", "").begin_or_move(Kind.BEGUN, {}, world.at)
    world.beat(says={**said(began=began, last=world.at), "source stream/readings": away})
    assert set(world.bad()) == {"stream/readings.trouble", "stream/readings.set_aside"}
    assert "stream readings set a message aside" in {one.title for one in world.readings()}


def said(**status: Any) -> dict[str, Any]:
    return {"stream readings": StreamStatus(stream="readings", **status).to_json()}
