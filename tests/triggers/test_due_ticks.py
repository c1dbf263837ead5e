"""What is due: each moment is decided once, be it started, skipped or missed, however often somebody looks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from trikk.core import cron
from trikk.core.cron import ticks
from trikk.core.values import JSON
from trikk.runs.journals.ledger import Entry
from trikk.triggers import AfterRun, Cron, Event, FileArrived, Interval, Missed, Overlap, clock_triggers
from trikk.triggers.clock_triggers import ClockTrigger
from trikk.triggers.declared import AnyTrigger, Declared
from trikk.triggers.due_ticks import COUNTED, PROMPT, Decision, Miss, Skip, Start, by_event, due, next_tick
from trikk.triggers.trigger_state import TriggerEntry, TriggerState, adoption, body_of, tick_text

LINES = ["*/10 * * * *", "30 2 * * *", "0 4 * * *", "0 */3 * * *", "15 2,3 * * sun", "0 0 1 * *", "* 1-3 * * *"]
ZONES = ["Europe/Oslo", "UTC", "America/St_Johns", "Australia/Lord_Howe"]
START = datetime(2026, 3, 1, tzinfo=UTC)

moments = st.integers(0, 300 * 24 * 3600).map(lambda seconds: START + timedelta(seconds=seconds))
spans = st.integers(0, 6 * 24 * 3600).map(lambda seconds: timedelta(seconds=seconds))
clocks: st.SearchStrategy[ClockTrigger] = st.one_of(
    st.builds(Cron, st.sampled_from(LINES), timezone=st.sampled_from(ZONES)),
    st.builds(Interval, st.sampled_from(["7m", "1h", "90m", "1d"])),
)
ways = st.sampled_from(
    [
        {"missed": Missed.LATEST},
        {"missed": Missed.SKIP},
        {"missed": Missed.ALL, "at_most": 3},
        {"missed": Missed.ALL, "at_most": 1000},
        {"missed": Missed.LATEST, "overlap": Overlap.SKIP},
        {"missed": Missed.LATEST, "overlap": Overlap.CANCEL},
    ]
)


def declared(trigger: Any, name: str = "t") -> Declared:
    return Declared("nightly", replace(trigger, name=name), "pipelines.py:1")


def adopted(trigger: AnyTrigger | ClockTrigger, at: datetime) -> TriggerState:
    state = adoption(None, declared(trigger), at)
    assert state is not None
    return state


def decided(decision: Decision, trigger: ClockTrigger) -> list[datetime]:
    """The moments that a decision is about."""
    if isinstance(decision, Miss):
        return list(trigger.ticks(decision.first - timedelta(microseconds=1), decision.last))
    return [datetime.fromisoformat(decision.tick if isinstance(decision, Skip) else decision.event.id)]


def is_running(unfinished: int) -> bool:
    return unfinished > 0


@given(clocks, ways, moments, spans, st.integers(0, 2))
def test_each_moment_is_decided_once_and_in_order(
    clock: ClockTrigger, way: dict[str, Any], start: datetime, span: timedelta, unfinished: int
) -> None:
    trigger = replace(clock, **way)
    state = replace(adopted(trigger, start), unfinished=("r1", "r2")[:unfinished])
    now = start + span
    decisions = due(declared(trigger), state, now, unfinished)
    come = list(trigger.ticks(start, now))
    assert [tick for decision in decisions for tick in decided(decision, trigger)] == come
    for decision in decisions:
        if isinstance(decision, Miss):
            assert decision.count == min(COUNTED, len(decided(decision, trigger)))
    starts = [d for d in decisions if isinstance(d, Start)]
    skips = [d for d in decisions if isinstance(d, Skip)]
    if trigger.missed is Missed.ALL:
        assert len(starts) == min(trigger.at_most, len(come))
    elif trigger.missed is Missed.SKIP:
        assert len(starts) == (1 if come and now - come[-1] <= PROMPT else 0)
    else:
        assert len(starts) + len(skips) == min(1, len(come))
    if trigger.overlap is Overlap.SKIP:
        assert len(starts if unfinished else skips) == 0
    assert all(d.cancels == (trigger.overlap is Overlap.CANCEL and is_running(unfinished)) for d in starts)


@given(clocks, moments, st.lists(spans, max_size=8))
def test_looking_more_often_decides_the_same_moments(
    clock: ClockTrigger, start: datetime, pauses: list[timedelta]
) -> None:
    """One that looks now and then decides what one would that looks once, and its cursor never goes back."""
    trigger = replace(clock, missed=Missed.ALL, at_most=10_000)
    state, now, seen = adopted(trigger, start), start, []
    for pause in pauses:
        now += pause
        for decision in due(declared(trigger), state, now):
            assert isinstance(decision, Start)
            later = state.moved(decision.event.id)
            assert later.decided > state.decided
            state = later
            seen.append(decision.event.at)
        assert due(declared(trigger), state, now) == []
    assert seen == list(trigger.ticks(start, now))


@given(clocks, moments, spans)
def test_what_was_decided_is_not_due_again_when_the_clock_is_put_back(
    clock: ClockTrigger, start: datetime, back: timedelta
) -> None:
    state = adopted(clock, start)
    assert due(declared(clock), state, start - back) == []
    following = next_tick(declared(clock), state, start - back)
    assert following is not None
    assert following > start


def days(line: str, first: datetime, last: datetime) -> list[str]:
    """When a line comes due in Oslo, by its clock, if somebody looks each minute."""
    trigger = Cron(line, timezone="Europe/Oslo")
    state, now, local = adopted(trigger, first), first, []
    while now < last:
        now += timedelta(minutes=1)
        for decision in due(declared(trigger), state, now):
            assert isinstance(decision, Start)
            state = state.moved(decision.event.id)
            local.append(decision.event.at.astimezone(trigger.zone).isoformat(timespec="minutes"))
    return local


@pytest.mark.parametrize(
    ("line", "day", "local"),
    [
        ("30 2 * * *", (2026, 3, 29), ["2026-03-29T03:00+02:00"]),
        ("30 2 * * *", (2026, 10, 25), ["2026-10-25T02:30+02:00"]),
        ("0 4 * * *", (2026, 3, 29), ["2026-03-29T04:00+02:00"]),
    ],
)
def test_a_fixed_time_comes_once_on_days_when_clocks_change(line: str, day: Any, local: list[str]) -> None:
    midnight = datetime(*day, tzinfo=UTC) - timedelta(hours=2)
    assert days(line, midnight, midnight + timedelta(hours=24)) == local


def test_a_starred_line_comes_in_each_hour_that_there_is() -> None:
    spring, autumn = datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 10, 24, 22, tzinfo=UTC)
    assert len(days("0 * * * *", spring - timedelta(minutes=1), spring + timedelta(hours=22, minutes=59))) == 23
    assert len(days("0 * * * *", autumn - timedelta(minutes=1), autumn + timedelta(hours=24, minutes=59))) == 25


def test_a_clock_put_forward_by_a_year_has_few_moments_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0

    def watched(*args: Any) -> Iterator[datetime]:
        nonlocal looked
        for tick in ticks(*args):
            looked += 1
            yield tick

    for module in (cron, clock_triggers):
        monkeypatch.setattr(module, "ticks", watched)
    trigger = Cron("* * * * *")
    state, now = adopted(trigger, START), START + timedelta(days=365)
    missed, start = due(declared(trigger), state, now)
    assert isinstance(missed, Miss)
    assert isinstance(start, Start)
    assert (missed.count, missed.first) == (COUNTED, START + timedelta(minutes=1))
    assert (missed.last, start.event.at) == (now - timedelta(minutes=1), now)
    assert COUNTED <= looked < 2 * COUNTED  # of half a million


def test_of_many_missed_the_newest_have_their_runs() -> None:
    trigger = Interval("1m", missed="all", at_most=3)
    missed, *starts = due(declared(trigger), adopted(trigger, START), START + timedelta(days=200))
    assert isinstance(missed, Miss)
    assert missed.count == COUNTED
    assert [s.event.at for s in starts if isinstance(s, Start)] == [
        START + timedelta(days=200, minutes=n) for n in (-2, -1, 0)
    ]


def test_a_paused_trigger_and_one_that_waits_for_events_are_never_due() -> None:
    now = START + timedelta(days=3)
    minutely = Cron("* * * * *")
    assert due(declared(minutely), replace(adopted(minutely, START), paused=True), now) == []
    after = AfterRun("nightly")
    assert due(declared(after), adopted(after, START), now) == []
    assert next_tick(declared(after), None, now) is None


def test_an_event_is_skipped_while_a_run_is_not_over_if_it_says_so() -> None:
    trigger = FileArrived("inbox/*", overlap="skip")
    state = replace(adopted(trigger, START), unfinished=("r1",))
    event = Event(id="inbox/a.csv", kind="file-arrived", at=START)
    assert by_event(declared(trigger), state, event, 1) == Skip("inbox/a.csv", "run r1 is not over")
    assert by_event(declared(trigger), state, event, 0) == Start(event)


def test_a_changed_parameter_loses_no_tick_and_a_changed_line_begins_anew() -> None:
    daily = Cron("0 4 * * *")
    state, now = adopted(daily, START), START + timedelta(days=2)
    same = adoption(state, replace(declared(daily), where="pipelines.py:9"), now)
    assert same is None
    other = adoption(state, declared(Cron("0 4 * * *", parameters={"city": "oslo"})), now)
    assert other is not None
    assert (other.cursor, other.adopted) == (state.cursor, state.adopted)
    assert other.declared.trigger.parameters == {"city": "oslo"}
    moved = adoption(replace(state, paused=True), declared(Cron("0 5 * * *")), now)
    assert moved is not None
    assert (moved.decided, moved.adopted, moved.paused) == (now, tick_text(now), True)


def entry(kind: TriggerEntry, body: dict[str, JSON]) -> Entry:
    return Entry(1, "trigger/t", kind, 0.0, body)


def test_the_last_entry_tells_the_whole_state() -> None:
    state = adopted(Cron("0 4 * * *"), START)
    tick = tick_text(START + timedelta(hours=4))
    started = entry(TriggerEntry.STARTED, body_of(state.moved(tick), tick=tick, run="r1"))
    after = TriggerState.of(started)
    assert after is not None
    assert (after.cursor, after.last_tick, after.last_run, after.unfinished) == (tick, tick, "r1", ("r1",))
    skipped = entry(TriggerEntry.SKIPPED, body_of(after.moved("2026-03-02T04:00:00+00:00"), tick="x", why="y"))
    later = TriggerState.of(skipped)
    assert later is not None
    assert (later.last_tick, later.last_run, later.cursor) == (tick, "r1", "2026-03-02T04:00:00+00:00")
    assert later.without({"r1"}).unfinished == ()
    assert TriggerState.of(None) is None
