"""Servers that know of each other: who lives, who is missed, and whose release counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from trikk.execution.project import Project
from trikk.runs.journals.lease import Holder
from trikk.runs.journals.server_beats import NO_TRIGGERS, Server
from trikk.runs.living_servers import BEAT_EVERY, LOST_AFTER, living, missed
from trikk.server.presence.beats import KEPT_FOR, Presence
from trikk.server.presence.releases import Standing, current_release, standing
from trikk.server.site import Site
from trikk.testing import ManualClock, MemoryJournal


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def server(name: str, since: float, at: float, release: str = "r", left: float | None = None) -> Server:
    return Server(id=name, holder=Holder(name, "", 1, 0.0), release=release, since=since, at=at, left=left)


def elsewhere(_: Holder) -> bool | None:
    return None


def test_a_server_that_has_not_beaten_for_long_or_whose_process_is_dead_does_not_live() -> None:
    now = 1000.0
    fresh, old = server("fresh", 0.0, now - LOST_AFTER), server("old", 0.0, now - LOST_AFTER - 1)
    gone = server("gone", 0.0, now, left=now)
    assert living([fresh, old, gone], now, elsewhere) == [fresh]
    dead: Callable[[Holder], bool | None] = lambda holder: False if holder.host == "fresh" else None  # noqa: E731
    assert living([fresh, old, gone], now, dead) == []
    assert living([old], now, lambda _: True) == [], "a process that lives and does not beat serves nobody"


def test_a_server_is_missed_until_a_later_one_lives_unless_it_left() -> None:
    now = 1000.0
    peer, lost, left = (
        server("peer", 10.0, now),
        server("lost", 20.0, 900.0),
        server("left", 20.0, 900.0, left=900.0),
    )
    assert missed([peer, lost, left], now, elsewhere) == [lost]
    follower = server("follower", 950.0, now)
    assert missed([peer, lost, left, follower], now, elsewhere) == []
    assert missed([peer, lost, left, replace(follower, at=951.0)], now, elsewhere) == [
        lost,
        replace(follower, at=951.0),
    ]
    assert missed([lost], now, elsewhere) == [lost], "with nobody left, whoever looks misses it"


def test_the_newest_release_that_is_served_counts_and_a_restart_makes_none_newer() -> None:
    assert current_release([], ["a", "b"]) == ""
    assert current_release(["a"], ["a", "b"]) == "a"
    assert current_release(["a", "b"], ["a", "b"]) == "b"
    assert current_release(["a", "b"], ["b", "a"]) == "a"
    assert current_release(["unannounced"], ["a"]) == ""


@given(st.lists(st.sampled_from("abcd"), unique=True), st.lists(st.sampled_from(["", *"abcd"]), min_size=1))
def test_of_living_servers_those_of_one_release_may_fire(announced: list[str], served: list[str]) -> None:
    there = [server(str(number), 0.0, 0.0, release) for number, release in enumerate(served)]
    standings = [standing(one.release, there, announced) for one in there]
    assert len({one.current for one in standings}) == 1
    assert {one.mine for one in standings if one.may_fire} <= {standings[0].current}
    known = set(announced) & set(served)
    assert any(one.may_fire for one in standings) == bool(known)


def test_a_server_that_fires_nothing_has_no_say_unless_none_fires() -> None:
    old, new = server("old", 0.0, 0.0, "a"), replace(server("new", 1.0, 0.0, "b"), says={NO_TRIGGERS: True})
    assert standing("a", [old, new], ["a", "b"]) == Standing("a", "a", (old,))
    assert standing("b", [old, new], ["a", "b"]).is_outdone
    assert standing("a", [replace(old, says=new.says), new], ["a", "b"]).is_outdone
    starting = replace(old, release="")  # it could load nothing yet
    assert standing("b", [starting, new], ["a", "b"]).current == "b"


def test_a_site_that_fires_nothing_says_so_with_each_beat(tmp_path: Path) -> None:
    (tmp_path / "trikk.toml").write_text('name = "city"\n')
    for fires in (True, False):
        site = Site(Project.open(tmp_path), fires=fires)
        site.begin()
        site.presence.say("code", {"what": "it does not load"})
        site.presence.say("code", None)
        assert [s.fires for s in site.project.journal.servers() if s.id == site.name] == [fires]
        site.presence.close()
        site.project.close()


def test_a_server_says_that_it_is_there_and_sees_the_others(journal: MemoryJournal, clock: ManualClock) -> None:
    first, second = Presence(journal, clock), Presence(journal, clock)
    assert first.start("aa") == []
    assert [one.id for one in second.start("aa")] == [first.server.id]
    assert (first.standing.may_fire, second.standing.may_fire) == (True, True)
    clock.advance(BEAT_EVERY)
    first.turn(0.0)
    assert [one.id for one in first.standing.serving] == [second.server.id, first.server.id]
    before = journal.servers()
    first.turn(0.0)
    assert journal.servers() == before, "a turn before its time writes nothing"
    second.close()
    clock.advance(BEAT_EVERY)
    first.turn(0.0)
    assert [one.id for one in first.standing.serving] == [first.server.id]
    assert missed(journal.servers(), clock.now()) == []


def test_of_two_that_begin_together_one_that_dies_early_is_missed(
    journal: MemoryJournal, clock: ManualClock
) -> None:
    dying, peer = Presence(journal, clock), Presence(journal, clock)
    dying.start("aa")
    clock.advance(0.5)
    peer.start("aa")
    for _ in range(3):
        clock.advance(1.0)
        dying.turn(0.0)
    for _ in range(10):
        clock.advance(LOST_AFTER / 5)
        peer.turn(0.0)
    assert [server.id for server in missed(journal.servers(), clock.now(), elsewhere)] == [dying.server.id]


def test_a_new_release_counts_at_once_and_an_old_one_again_when_nobody_serves_the_new(
    journal: MemoryJournal, clock: ManualClock
) -> None:
    old, new = Presence(journal, clock), Presence(journal, clock)
    old.start("aa")
    new.start("bb")
    clock.advance(BEAT_EVERY)
    old.turn(0.0)
    assert (old.standing.may_fire, new.standing.may_fire) == (False, True)
    assert (old.standing.is_outdone, new.standing.is_outdone) == (True, False)
    assert old.standing.whose == f"release bb on {Holder.current().host}"
    restarted = Presence(journal, clock)
    restarted.start("aa")
    assert not restarted.standing.may_fire, "a restart makes no code newer"
    new.serve("aa")
    clock.advance(BEAT_EVERY)
    old.turn(0.0)
    assert old.standing.may_fire
    assert [entry.identity for entry in journal.entries("releases")] == ["aa", "bb"]


def test_a_release_of_a_server_that_is_lost_does_not_count(journal: MemoryJournal, clock: ManualClock) -> None:
    old, new = Presence(journal, clock), Presence(journal, clock)
    old.start("aa")
    new.start("bb")
    clock.advance(LOST_AFTER + 1)
    old.turn(0.0)
    assert old.standing.may_fire
    assert [one.id for one in missed(journal.servers(), clock.now())] == [new.server.id]


def test_what_a_server_has_to_say_stands_in_its_row_until_it_is_over(
    journal: MemoryJournal, clock: ManualClock
) -> None:
    presence = Presence(journal, clock)
    presence.start("aa", {"broken": {"what": "x"}})
    away: dict[str, Any] = {"inbox": {"why": "no such folder"}}
    presence.say("away", away)
    assert journal.servers()[0].says == {"broken": {"what": "x"}, "away": away}
    presence.say("broken", None)
    presence.say("away", None)
    assert journal.servers()[0].says == {}


def test_a_server_without_code_may_not_fire(journal: MemoryJournal, clock: ManualClock) -> None:
    presence = Presence(journal, clock)
    presence.start("")
    assert presence.standing == Standing()
    assert not presence.standing.is_outdone
    assert "nobody" in presence.standing.whose


def test_servers_of_weeks_ago_are_forgotten_at_the_next_start(journal: MemoryJournal, clock: ManualClock) -> None:
    Presence(journal, clock).start("aa")
    clock.advance(KEPT_FOR + 1)
    last = Presence(journal, clock)
    assert len(last.start("aa")) == 1
    assert [one.id for one in journal.servers()] == [last.server.id]
