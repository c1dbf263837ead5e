"""The engine of triggers: every tick has one run, whoever looks, whatever was done by hand, however late."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.server.schedule.places import (
    GRAPHS,
    START,
    by_hand,
    declared,
    engine_of,
    kinds_of,
    project_of,
    rows_of,
    ticks_of,
)

from trikk.core.clock import SystemClock
from trikk.core.errors import JournalError, ParameterError, UnknownName
from trikk.execution.launch import leased
from trikk.runs.events import EventKind
from trikk.runs.journals.lease import Holder
from trikk.runs.journals.server_beats import Server
from trikk.runs.states import RunStatus
from trikk.server.presence.absence import note_absence
from trikk.server.schedule import trigger_actions
from trikk.server.schedule.engine import Engine
from trikk.server.schedule.trigger_actions import decide_due, fire
from trikk.server.schedule.trigger_standing import set_paused, standing_of
from trikk.server.schedule.trigger_view import trigger_details, trigger_rows
from trikk.triggers import AfterRun, Cron, Event, FileArrived, Interval, Missed, Overlap
from trikk.triggers.declaration import Trigger
from trikk.triggers.declared import trigger_named
from trikk.triggers.due_ticks import next_tick
from trikk.triggers.tick_by_hand import tick_named

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FOUR = START + 4 * HOUR
DAILY = Cron("0 4 * * *")


def look(engine: Engine, at: datetime) -> float:
    return engine.turn(at.timestamp())


def ends(project: Any, run: str, kind: EventKind = EventKind.RUN_SUCCEEDED) -> None:
    project.journal.append(run, kind, {}, at=START.timestamp())


def happened(number: int) -> Event:
    return Event(id=f"inbox/{number}.csv", kind="file-arrived", at=START, path=f"inbox/{number}.csv")


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log warns of, without the reasons."""
    return [record.getMessage().partition(":")[0] for record in caplog.records if record.levelname == "WARNING"]


def test_a_moment_that_has_come_has_its_run_in_the_queue(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "trikk.server")
    project = project_of()
    queued: list[int] = []
    engine = Engine(project, lambda: queued.append(1))
    engine.adopt(declared(t=DAILY), GRAPHS, START.timestamp())
    assert look(engine, FOUR - timedelta(seconds=2)) == pytest.approx(2)
    assert ticks_of(project) == []
    look(engine, FOUR)
    (row,) = rows_of(project)
    assert row.state == RunStatus.QUEUED
    assert row.origin == {"kind": "trigger", "trigger": "t", "tick": "2026-03-01T04:00:00+00:00"}
    assert row.parameters["day"] == "2026-03-01"
    assert row.parameters["event"]["id"] == "2026-03-01T04:00:00+00:00"  # type: ignore[index,call-overload]
    assert queued == [1]
    assert caplog.messages == [f"trigger t has queued run {row.id} of {row.pipeline}"]
    look(engine, FOUR + timedelta(minutes=1))
    assert len(ticks_of(project)) == 1


def test_a_trigger_is_due_from_its_adoption_and_not_before() -> None:
    project = project_of()
    look(engine_of(project, FOUR + HOUR, t=DAILY), FOUR + HOUR)
    assert kinds_of(project) == ["trigger.adopted"]


def test_two_servers_start_one_run_and_the_second_goes_on_where_the_first_ended() -> None:
    project = project_of()
    first, second = engine_of(project, START, t=DAILY), engine_of(project, START, t=DAILY)
    for day in range(3):
        for engine in (first, second):
            look(engine, FOUR + day * DAY)
    assert len(ticks_of(project)) == 3
    later = engine_of(project, FOUR + 5 * DAY, t=DAILY)  # a new server: what came meanwhile is due
    look(later, FOUR + 5 * DAY)
    assert ticks_of(project)[3:] == ["2026-03-06T04:00:00+00:00"]
    entry = project.journal.entries("trigger/t")[-2]
    assert entry.kind == "ticks.missed"
    assert [entry.body[key] for key in ("first", "last", "count")] == [
        "2026-03-04T04:00:00+00:00",
        "2026-03-05T04:00:00+00:00",
        2,
    ]


def test_what_comes_while_too_many_runs_wait_stays_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trigger_actions, "QUEUED_AT_MOST", 2)
    project = project_of()
    any_at_once = FileArrived("inbox/*", overlap="allow")
    engine = engine_of(project, START, t=DAILY, files=FileArrived("inbox/*"), any=any_at_once)
    for trigger in ("files", "any"):
        given = [engine.deliver(trigger, happened(n), START.timestamp()) for n in range(3)]
        assert [bool(fired.run) for fired in given] == [True, True, False]
        assert (given[2].waits, "wait already" in given[2].why) == (True, True)
    for day in range(3):  # those of another trigger do not count
        look(engine, FOUR + day * DAY)
    assert len(ticks_of(project)) == 2
    skipped = project.journal.entries("trigger/t")[-1]
    assert (skipped.kind, skipped.body["tick"]) == ("tick.skipped", "2026-03-03T04:00:00+00:00")
    assert "wait already" in str(skipped.body["why"])
    first = rows_of(project, "files")[0].id
    ends(project, first, EventKind.RUN_STARTED)
    assert engine.deliver("files", happened(2), START.timestamp()).run
    assert not by_hand(project, engine, FOUR, None).waits, "who asks by hand is not put off"


def test_moments_that_are_all_to_have_runs_wait_for_room_in_the_queue(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(trigger_actions, "QUEUED_AT_MOST", 3)
    project = project_of()
    engine = engine_of(project, START, t=Cron("0 4 * * *", missed="all", at_most=5), any=FileArrived("inbox/*"))
    for number in range(3):  # those of another trigger do not count
        engine.deliver("any", happened(number), START.timestamp())
    now = FOUR + 7 * DAY
    assert look(engine, now) == 5
    assert ticks_of(project) == [f"2026-03-0{day}T04:00:00+00:00" for day in (4, 5, 6)]
    for later in range(1, 3):  # a full queue is looked at again, and nothing is lost or written meanwhile
        look(engine, now + later * timedelta(seconds=5))
    assert kinds_of(project) == ["trigger.adopted", "ticks.missed", *["tick.started"] * 3]
    assert caplog.text.count("trigger t could not be decided: 1000 of its runs wait already") == 1
    assert timedelta(seconds=engine.lag((now + HOUR).timestamp())) == DAY + HOUR, "since the first that waits"
    ends(project, rows_of(project)[0].id)
    look(engine, now + timedelta(seconds=15))
    assert len(ticks_of(project)) == 4
    for row in rows_of(project)[1:]:
        ends(project, row.id)
    look(engine, now + timedelta(seconds=20))
    assert ticks_of(project)[3:] == ["2026-03-07T04:00:00+00:00", "2026-03-08T04:00:00+00:00"]
    assert engine.lag((now + HOUR).timestamp()) == 0


def test_a_run_that_was_started_by_hand_before_its_moment_is_its_run() -> None:
    project = project_of()
    engine = engine_of(project, START, t=DAILY)
    early = by_hand(project, engine, START + HOUR, FOUR)
    assert not early.repeated
    look(engine, FOUR)
    again = by_hand(project, engine, FOUR + HOUR, FOUR)
    assert (again.run, again.repeated) == (early.run, True)
    assert ticks_of(project) == ["2026-03-01T04:00:00+00:00"]
    assert kinds_of(project) == ["trigger.adopted", "tick.started", "tick.passed"]
    look(engine, FOUR + DAY)
    assert len(ticks_of(project)) == 2


def test_a_time_that_spring_leaves_out_is_by_hand_the_moment_that_comes_due_in_its_place() -> None:
    project = project_of()
    engine = engine_of(project, START, t=Cron("30 2 * * *", timezone="Europe/Oslo"))
    tick = tick_named(engine.declared["t"], "2026-03-29T02:30")
    early = by_hand(project, engine, tick - DAY, tick)
    look(engine, tick + HOUR)
    assert [row.id for row in rows_of(project) if row.origin["tick"][:10] == "2026-03-29"] == [early.run]


@pytest.mark.parametrize(
    ("trigger", "local", "tick"),
    [
        (Cron("30 2 * * *", timezone="Europe/Oslo"), "2026-03-29T02:30", "2026-03-29T01:00:00+00:00"),
        (Cron("15 2,3 * * sun", timezone="Europe/Oslo"), "2026-03-29T02:15", "2026-03-29T01:00:00+00:00"),
        (Cron("15 2 * * *", timezone="Australia/Lord_Howe"), "2026-10-04T02:15", "2026-10-03T15:30:00+00:00"),
        (Cron("30 0 * * *", timezone="America/Sao_Paulo"), "2018-11-04T00:30", "2018-11-04T03:00:00+00:00"),
        (Cron("30 2 * * *", timezone="Europe/Oslo"), "2026-03-29T02:30+01:00", "2026-03-29T01:30:00+00:00"),
        (Cron("30 2 * * *", timezone="Europe/Oslo"), "2026-10-25T02:30", "2026-10-25T00:30:00+00:00"),
        (Cron("0 3 * * *", timezone="Europe/Oslo"), "2026-03-29T02:30", ""),
        (Cron("*/30 * * * *", timezone="Europe/Oslo"), "2026-03-29T02:30", ""),
        (Interval("1h", timezone="Europe/Oslo"), "2026-03-29T02:00", ""),
    ],
)
def test_a_time_by_hand_where_clocks_change(trigger: Trigger, local: str, tick: str) -> None:
    t = declared(t=trigger)["t"]
    if tick:
        assert tick_named(t, local).isoformat() == tick
    else:
        with pytest.raises(ParameterError, match="is put forward over 2026-03-29T02"):
            tick_named(t, local)


def test_a_command_without_any_server_fires_and_the_server_that_comes_later_knows() -> None:
    project = project_of()
    cron = declared(t=DAILY)["t"]
    fired = fire(project, cron, GRAPHS["nightly"], tick=FOUR, by="ann", now=START)
    look(engine_of(project, START + HOUR, t=DAILY), FOUR)
    assert ticks_of(project) == ["2026-03-01T04:00:00+00:00"]
    assert rows_of(project)[0].id == fired.run


def test_a_moment_that_was_passed_is_passed_again_where_the_clock_is_put_back() -> None:
    project = project_of()
    engine = engine_of(project, START, t=DAILY)
    by_hand(project, engine, START, FOUR)
    look(engine, FOUR)
    look(engine_of(project, START, t=Interval("4h")), FOUR)
    passed = ["trigger.adopted", "tick.started", "tick.passed"]
    assert kinds_of(project) == [*passed, "trigger.adopted", "tick.passed"]
    assert len(ticks_of(project)) == 1


def test_of_two_servers_that_meet_at_a_backlog_one_leaves_it_to_the_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Else each decides all that is due anew whenever the other has written: hours of moments take minutes."""
    project, hourly = project_of(), Interval("1h", missed="all", at_most=100)
    first, second = (engine_of(project, START, t=hourly) for _ in range(2))
    now, create, graph = START + 50 * HOUR, project.journal.create_once, GRAPHS["nightly"]

    def create_after_the_other(*given: Any, **named: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(project.journal, "create_once", create)
            decide_due(project, second.declared["t"], graph, now, at_most=1)
        return create(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(project.journal, "create_once", create_after_the_other)
        assert look(first, now) == 1, "a second later it looks whether the other has gone on"
    assert len(ticks_of(project)) == 2
    assert (told(caplog), first.lag(now.timestamp())) == ([], 0)
    look(first, now + timedelta(seconds=1))
    assert len(ticks_of(project)) == 50


def test_by_hand_without_a_moment_there_is_a_run_each_time() -> None:
    project = project_of()
    engine = engine_of(project, START, t=DAILY)
    runs = {by_hand(project, engine, START + timedelta(seconds=seconds), None).run for seconds in (0.25, 0.5, 0.5)}
    assert len(runs) == 2
    assert {row.parameters["event"]["kind"] for row in rows_of(project)} == {"hand"}  # type: ignore[index,call-overload]


def test_a_skipped_moment_can_be_had_by_hand_once() -> None:
    project = project_of()
    engine = engine_of(project, START, t=Cron("0 4 * * *", overlap="skip"))
    look(engine, FOUR)
    look(engine, FOUR + DAY)
    assert kinds_of(project)[-1] == "tick.skipped"
    runs = [by_hand(project, engine, FOUR + DAY, FOUR + DAY) for _ in range(2)]
    assert (runs[0].run, [fired.repeated for fired in runs]) == (runs[1].run, [False, True])
    assert ticks_of(project)[1:] == ["2026-03-02T04:00:00+00:00"]


def test_while_paused_nothing_is_due_and_afterwards_nothing_is_made_up_for() -> None:
    project = project_of()
    engine = engine_of(project, START, t=DAILY)
    cron = engine.declared["t"]
    set_paused(project.journal, cron, paused=True, by="ann", why="holiday", now=START + HOUR)
    look(engine, FOUR)
    assert by_hand(project, engine, FOUR, None).run
    look(engine_of(project, FOUR + DAY, t=DAILY), FOUR + DAY)  # a restart does not end it
    set_paused(project.journal, cron, paused=False, by="ann", now=FOUR + DAY + HOUR)
    set_paused(project.journal, cron, paused=False, by="ann", now=FOUR + DAY + HOUR)
    look(engine, FOUR + DAY + 2 * HOUR)
    assert kinds_of(project) == ["trigger.adopted", "trigger.paused", "tick.started", "trigger.unpaused"]
    look(engine, FOUR + 2 * DAY)
    assert ticks_of(project)[1:] == ["2026-03-03T04:00:00+00:00"]
    assert project.journal.entries("trigger/t")[1].body["why"] == "holiday"


def test_a_pause_ends_by_itself_whoever_looks_and_a_moment_at_its_end_comes_due() -> None:
    project = project_of()
    engine = engine_of(project, START, t=DAILY)
    pause = partial(set_paused, project.journal, engine.declared["t"], paused=True, by="ann")
    pause(now=START + HOUR, until=FOUR + 9 * DAY)
    standing = pause(now=START + HOUR, until=FOUR + 2 * DAY)  # it ends earlier than was said first
    assert standing == pause(now=START + HOUR, until=FOUR + 2 * DAY)
    assert next_tick(engine.declared["t"], standing, START + HOUR) == FOUR + 2 * DAY
    look(engine, FOUR + DAY)
    assert by_hand(project, engine, FOUR + DAY + HOUR, None).run  # and is not ended by what is done meanwhile
    look(engine_of(project, FOUR + DAY + 2 * HOUR, t=DAILY), FOUR + 2 * DAY - HOUR)
    assert len(rows_of(project)) == 1
    assert engine.deliver("t", happened(1), (FOUR + 2 * DAY - HOUR).timestamp()).waits
    look(engine_of(project, FOUR + 3 * DAY, t=replace(DAILY, missed="all")), FOUR + 3 * DAY)
    assert ticks_of(project)[1:] == ["2026-03-03T04:00:00+00:00", "2026-03-04T04:00:00+00:00"]
    later = FOUR + 4 * DAY
    assert engine_of(project, later, t=DAILY).deliver("t", happened(1), later.timestamp()).run
    assert kinds_of(project).count("trigger.paused") == 2
    assert "ticks.missed" not in kinds_of(project)


def test_a_moment_is_skipped_while_a_run_is_not_over() -> None:
    project = project_of()
    engine = engine_of(project, START, t=Cron("0 4 * * *", overlap=Overlap.SKIP))
    for day in range(2):
        look(engine, FOUR + day * DAY)
    (first,) = rows_of(project)
    assert project.journal.last("trigger/t").body["why"] == f"run {first.id} is not over"
    ends(project, first.id)
    look(engine, FOUR + 2 * DAY)
    assert ticks_of(project)[1:] == ["2026-03-03T04:00:00+00:00"]


def test_an_earlier_run_is_cancelled_before_the_later_one_is_queued() -> None:
    project = project_of()
    engine = engine_of(project, START, t=Cron("0 4 * * *", overlap=Overlap.CANCEL))
    for day in range(2):
        look(engine, FOUR + day * DAY)
    first, second = rows_of(project)
    assert [first.state, second.state] == [RunStatus.CANCELLED, RunStatus.QUEUED]  # nobody drove it


def test_a_driver_is_asked_to_cancel_its_run_and_the_later_run_is_queued_behind_it() -> None:
    project = project_of()
    engine = engine_of(project, START, t=Cron("0 4 * * *", overlap=Overlap.CANCEL))
    look(engine, FOUR)
    (first,) = rows_of(project)
    with leased(project.journal, first.id, SystemClock()):
        look(engine, FOUR + DAY)
    assert [e.kind for e in project.journal.events(first.id)] == ["run.created", "run.cancel_requested"]
    assert [row.state for row in rows_of(project)] == [RunStatus.QUEUED] * 2


@pytest.mark.parametrize("overlap", [Overlap.QUEUE, Overlap.ALLOW])
def test_runs_that_may_wait_or_meet_are_queued_without_asking_for_others(overlap: Overlap) -> None:
    project = project_of()
    engine = engine_of(project, START, t=Cron("0 4 * * *", overlap=overlap))
    for day in range(3):
        look(engine, FOUR + day * DAY)
    assert len(ticks_of(project)) == 3


def test_all_that_was_missed_is_made_up_for_up_to_a_limit() -> None:
    project = project_of()
    engine = engine_of(project, START, t=Interval("1h", missed=Missed.ALL, at_most=5))
    look(engine, START + 100 * HOUR)
    assert ticks_of(project) == [(START + n * HOUR).isoformat() for n in range(96, 101)]
    assert project.journal.entries("trigger/t")[1].body["count"] == 95


def test_more_than_a_turn_decides_is_left_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trikk.server.schedule.engine._AT_ONCE", 3)
    project = project_of()
    engine = engine_of(project, START, t=Interval("1h", missed=Missed.ALL, at_most=5), u=Interval("100h"))
    for total in (3, 6, 6):
        look(engine, START + 100 * HOUR)
        assert len(ticks_of(project)) + len(ticks_of(project, "u")) == total


def test_a_changed_line_begins_anew_and_a_changed_parameter_does_not() -> None:
    project = project_of()
    engine_of(project, START, t=DAILY)
    changed = engine_of(project, FOUR + HOUR, t=Cron("0 4 * * *", day_offset=-1))
    look(changed, FOUR + HOUR)
    assert rows_of(project)[0].parameters["day"] == "2026-02-28"
    look(engine_of(project, FOUR + 2 * DAY, t=Cron("30 3 * * *", day_offset=-1)), FOUR + 2 * DAY)
    assert len(ticks_of(project)) == 1


def test_a_server_of_other_code_starts_nothing_by_what_no_longer_counts() -> None:
    project = project_of()
    old = engine_of(project, START, t=DAILY)
    new = engine_of(project, START, t=Cron("0 5 * * *"))
    for hours in (4, 5):
        for engine in (old, new):
            look(engine, START + hours * HOUR)
    assert ticks_of(project) == ["2026-03-01T05:00:00+00:00"]


def test_a_command_in_another_copy_of_the_project_changes_nothing_that_servers_go_by() -> None:
    project = project_of()
    engine = engine_of(project, START, t=DAILY)
    edited = declared(t=Cron("0 9 * * *"))["t"]
    fire(project, edited, GRAPHS["nightly"], tick=None, by="ann", now=START + HOUR)
    set_paused(project.journal, edited, paused=True, by="ann", now=START + HOUR)
    set_paused(project.journal, edited, paused=False, by="ann", now=START + HOUR)
    look(engine, FOUR)
    assert ticks_of(project)[1:] == ["2026-03-01T04:00:00+00:00"]


def test_an_event_waits_for_the_server_whose_release_counts() -> None:
    project = project_of()
    old = engine_of(project, START, t=FileArrived("inbox/*"))
    new = engine_of(project, START, t=FileArrived("inbox/*.csv"))
    assert old.deliver("t", happened(1), START.timestamp()).waits
    assert new.deliver("t", happened(1), START.timestamp()).run


def test_a_trigger_whose_last_entry_is_damaged_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    project = project_of()
    project.journal.add("trigger/a", "trigger.adopted", {"cursor": 4}, at=1.0)
    engine = engine_of(project, START, a=DAILY, b=DAILY)
    assert told(caplog) == ["trigger a can't be taken in"]
    look(engine, FOUR)
    assert len(ticks_of(project, "b")) == 1
    damaged, well = trigger_rows(project.journal, engine.declared.values(), FOUR.timestamp())
    assert "cursor" in damaged.trouble
    assert (damaged.next, set(damaged.to_json()) - set(well.to_json())) == (None, {"trouble"})
    assert well.next == "2026-03-02T04:00:00+00:00"
    shown = trigger_details(project.journal, engine.declared["a"], FOUR.timestamp())
    assert shown.row == damaged
    known = [Server(id="s", holder=Holder("h", "", 1, 0.0), at=START.timestamp())]
    returned = (FOUR + DAY).timestamp()
    assert note_absence(project.journal, known, engine.declared, returned) == {"b": 2}, (
        "a server starts all the same"
    )


def test_a_trigger_that_comes_back_to_the_code_begins_anew_and_stays_paused() -> None:
    project = project_of()
    engine = engine_of(project, START, t=DAILY, u=DAILY)
    set_paused(project.journal, engine.declared["u"], paused=True, by="ann", now=START)
    engine.adopt({}, GRAPHS, START.timestamp())
    look(engine, FOUR)
    assert kinds_of(project) == ["trigger.adopted", "trigger.retired"]
    look(engine_of(project, FOUR + HOUR, t=DAILY, u=DAILY), FOUR + HOUR)
    assert ticks_of(project) == []
    standing = standing_of(project.journal, "u", FOUR)
    assert standing is not None
    assert standing.state.paused
    with pytest.raises(UnknownName):
        trigger_named(engine.declared, "t")


def test_an_event_has_one_run_however_often_it_is_given() -> None:
    project = project_of()
    engines = [engine_of(project, START, t=FileArrived("inbox/*")) for _ in range(2)]
    fired = [engine.deliver("t", happened(1), START.timestamp()) for engine in engines]
    assert fired[0].run == fired[1].run
    assert [each.repeated for each in fired] == [False, True]
    assert rows_of(project)[0].parameters["event"]["path"] == "inbox/1.csv"  # type: ignore[index,call-overload]
    assert standing_of(project.journal, "t", START).state.decided == START  # type: ignore[union-attr]
    assert look(engines[0], START) > 0


def test_an_event_waits_while_its_trigger_is_paused_or_unknown() -> None:
    project = project_of()
    engine = engine_of(project, START, t=AfterRun("other"))
    set_paused(project.journal, engine.declared["t"], paused=True, by="ann", now=START)
    assert engine.deliver("t", happened(1), START.timestamp()).waits
    assert engine.deliver("nobody", happened(1), START.timestamp()).waits
    set_paused(project.journal, engine.declared["t"], paused=False, by="ann", now=START)
    assert engine.deliver("t", happened(1), START.timestamp()).run


def test_an_event_that_no_record_holds_is_skipped_and_told() -> None:
    project = project_of()
    engine = engine_of(project, START, t=FileArrived("inbox/*"))
    huge = Event(id="1", kind="message", at=START, payload="x" * 300_000)
    fired = [engine.deliver("t", huge, START.timestamp()) for _ in range(2)]
    assert [each.run for each in fired] == ["", ""]
    assert fired[0].why == "the event has more than 256 kB"
    assert kinds_of(project) == ["trigger.adopted", "tick.skipped"]


def test_what_can_not_be_decided_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    project = project_of()
    engine = Engine(project)
    engine.adopt(declared(a=DAILY, b=DAILY), {}, START.timestamp())
    assert look(engine, FOUR) > 0
    assert told(caplog) == ["trigger a could not be decided", "trigger b could not be decided"]
    engine.adopt(declared(a=DAILY, b=DAILY), GRAPHS, FOUR.timestamp())
    look(engine, FOUR)
    assert (len(ticks_of(project, "a")), len(ticks_of(project, "b")), len(told(caplog))) == (1, 1, 2)


def test_what_is_due_stays_due_while_the_journal_can_not_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    project = project_of()
    engine = engine_of(project, START, t=DAILY)

    def refuse(*_: object, **__: object) -> None:
        raise JournalError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(project.journal, "create_once", refuse)
        for _ in range(2):
            with pytest.raises(JournalError):
                look(engine, FOUR)
    look(engine, FOUR)
    assert len(ticks_of(project)) == 1


def test_only_triggers_that_are_due_are_looked_at() -> None:
    """A thousand schedules cost nothing while none is due: no query, however many turns there are."""
    project = project_of()
    many: dict[str, Trigger] = {f"t{n}": DAILY for n in range(1000)}
    engine = engine_of(project, START, **many)
    asked = 0
    last = project.journal.last

    def counted(subject: str) -> Any:
        nonlocal asked
        asked += 1
        return last(subject)

    project.journal.last = counted
    for minute in range(239):
        look(engine, START + timedelta(minutes=minute))
    assert asked == 0
    look(engine, FOUR)
    look(engine, FOUR + HOUR)
    assert len({row.origin["trigger"] for row in project.journal.runs(limit=None)}) == 1000
    assert asked <= 2000


actions = st.one_of(
    st.tuples(st.just("look"), st.integers(0, 1)),
    st.tuples(st.just("fire"), st.integers(-3, 3)),
    st.tuples(st.just("restart"), st.integers(0, 1)),
    st.tuples(st.just("pause"), st.booleans()),
    st.tuples(st.just("pass"), st.sampled_from([1, 20, 61, 7 * 60, 3 * 24 * 60])),
)
ways = st.sampled_from(
    [
        Interval("1h"),
        Interval("1h", missed="all", at_most=4),
        Interval("1h", missed="skip"),
        Cron("30 */2 * * *", timezone="Europe/Oslo", overlap="skip"),
        Cron("0 2 * * *", timezone="Europe/Oslo", overlap="cancel"),
    ]
)


@settings(max_examples=60)
@given(ways, st.lists(actions, max_size=30))
def test_whatever_is_done_in_whatever_order_a_tick_has_one_run(trigger: Trigger, steps: list[Any]) -> None:
    project, now = project_of(), datetime.fromisoformat("2026-03-28T22:15:00+00:00")
    engines = [engine_of(project, now, t=trigger) for _ in range(2)]
    for action, how in steps:
        if action == "look":
            look(engines[how], now)
        elif action == "fire":
            hour = (now + how * HOUR).replace(minute=0)
            by_hand(project, engines[0], now, hour)
        elif action == "restart":
            engines[how] = engine_of(project, now, t=trigger)
        elif action == "pause":
            set_paused(project.journal, engines[0].declared["t"], paused=how, by="ann", now=now)
        else:
            now += timedelta(minutes=how)
    for engine in engines:
        look(engine, now)
        look(engine, now)
    ticks = ticks_of(project)
    assert len(ticks) == len(set(ticks))
    entries = project.journal.entries("trigger/t")
    cursors = [entry.body["cursor"] for entry in entries if entry.kind != "trigger.unpaused"]
    assert cursors == sorted(cursors)
    last = entries[-1].body
    assert last["paused"] or list(trigger.ticks(datetime.fromisoformat(last["cursor"]), now)) == []  # type: ignore[attr-defined]


def test_threads_that_give_the_same_events_start_one_run_for_each() -> None:
    project = project_of()
    engine = engine_of(project, START, t=FileArrived("inbox/*"))
    runs: list[str] = []

    def give() -> None:
        runs.extend(engine.deliver("t", happened(number), START.timestamp()).run for number in range(20))

    threads = [threading.Thread(target=give) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs) == 80
    assert len(set(runs)) == len(ticks_of(project)) == 20
