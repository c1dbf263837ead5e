"""Which runs start now, and why the others wait."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from trikk.server.queue.run_needs import Need, Needs
from trikk.server.queue.start_decision import ATTEMPTS, PAUSES, Decision, Limits, Place, Unfinished, decide

NEEDS = Needs(
    {
        "big": Need(memory=6e9),
        "small": Need(memory=1e9),
        "wide": Need(memory=99e9),
        "load": Need(pools=("warehouse",)),
        "both": Need(pools=("lake", "warehouse")),
        "train": Need(gpus=1),
    },
    frozenset({"freely"}),
)
LIMITS = Limits(slots=4, memory=8e9, gpus=1, pools={"warehouse": 2, "lake": 1})


def run(name: str, pipeline: str = "p", place: Place = Place.QUEUED, **more: Any) -> Unfinished:
    created = float(int("".join(c for c in name if c.isdigit()) or 0))
    begun = place in (Place.LOST, Place.HERE, Place.ELSEWHERE, Place.ASKS)
    return replace(Unfinished(name, pipeline, place, created, begun), **more)


def decided(*runs: Unfinished, now: float = 1000.0, **limits: Any) -> Decision:
    return decide(runs, NEEDS, replace(LIMITS, **limits), now)


def test_pipelines_take_turns_and_of_each_the_oldest_run_is_first() -> None:
    many = [run(f"a{n}", "a") for n in range(9)]
    assert decided(*reversed(many), run("b7", "b"), run("c8", "c")).start == ["a0", "b7", "c8", "a1"]
    # What goes on counts as well: `a` has had its turn.
    going = [run("a100", "a", Place.HERE), run("a101", "a", Place.ELSEWHERE)]
    assert decided(*many, *going, run("b7", "b")).start == ["b7", "a0", "a1"]


def test_a_run_that_was_begun_goes_on_before_any_other_starts() -> None:
    decision = decided(run("a1"), run("b9", place=Place.LOST), run("c5", begun=True), slots=2)
    assert decision.start == ["c5", "b9"]
    assert decision.waits == {"a1": "all slots of this machine are taken: 2"}


def test_what_is_driven_elsewhere_takes_no_slot_and_what_waits_for_people_takes_nothing() -> None:
    others = [run("x1", "load", Place.ELSEWHERE), run("y2", "load", Place.ASKS)]
    assert decided(*others, run("a3", "load"), slots=1).start == ["a3"]
    assert decided(*others, run("z4", place=Place.HERE), run("a5"), slots=1).start == []


def test_pools_hold_for_all_machines_together_and_a_lost_run_keeps_its_place() -> None:
    runs = [run("x1", "load", Place.ELSEWHERE), run("y2", "load", Place.LOST), run("a3", "load")]
    decision = decided(*runs)
    assert decision.start == ["y2"]
    assert decision.waits == {"a3": "pool warehouse is full: 2 of 2 places taken"}
    # One that needs two pools takes neither before it can have both.
    assert decided(run("a1", "both"), run("a2", "both"), run("a3", "load")).start == ["a1", "a3"]


def test_no_younger_run_takes_the_memory_that_an_older_one_waits_for() -> None:
    runs = [run("x1", "small", Place.HERE), run("y2", "small", Place.HERE), run("z3", "small", Place.HERE)]
    decision = decided(*runs, run("a4", "big"), run("b5", "small"), run("c6"), slots=9)
    assert decision.start == ["c6"]
    assert decision.waits["a4"] == "it needs 6.0 GB and 0 gpus; free here: 5.0 GB and 1 gpu"
    assert "an older run waits" in decision.waits["b5"]


def test_a_run_that_needs_more_than_the_machine_has_runs_alone() -> None:
    assert decided(run("a1", "wide"), run("b2", "small"), run("c3")).start == ["a1", "c3"]
    assert decided(run("b2", "small", Place.HERE), run("a1", "wide")).start == []
    assert decided(run("a1", "train"), run("a2", "train")).start == ["a1"]
    assert decided(run("a1", "train"), gpus=0).start == ["a1"]  # it then fails, and says why


def test_a_run_of_a_trigger_waits_for_the_older_ones_of_it() -> None:
    first, second = run("b1", trigger="t"), run("a2", trigger="t")
    decision = decided(second, first)
    assert decision.start == ["b1"]
    assert decision.waits == {"a2": "run b1 of the same trigger, t, is not over"}
    asks = decided(replace(first, place=Place.ASKS, begun=True), second).waits["a2"]
    assert asks == "run b1 of the same trigger, t, is not over: it waits for a decision, see trikk approvals"
    for place in (Place.HERE, Place.ELSEWHERE, Place.ASKS, Place.LOST):
        assert "a2" in decided(replace(first, place=place, begun=True), second).waits
    assert decided(replace(first, trigger="u"), second).start == ["b1", "a2"]
    assert decided(replace(first, trigger="freely"), replace(second, trigger="freely")).start == ["b1", "a2"]
    # One that was begun before an older one of it was: they do not wait for each other for ever.
    later = replace(second, place=Place.LOST, begun=True)
    assert decided(first, later).start == ["a2"]
    assert decided(replace(first, begun=True), later).start == ["b1", "a2"]


def test_two_runs_of_one_moment_start_in_the_order_of_their_ticks() -> None:
    ticks = [run(name, trigger="t", tick=tick, created=5.0) for name, tick in (("a", "2"), ("b", "1"))]
    assert decided(*ticks).start == ["b"]


def test_a_run_whose_drivers_die_is_tried_again_after_growing_pauses_and_then_given_up() -> None:
    lost = run("a1", place=Place.LOST, attempts=2, last=1000.0, trouble="no room")
    decision = decided(lost, now=1009.0)
    assert (decision.start, decision.next_at) == ([], 1000.0 + PAUSES.pause(2))
    assert "2 attempts" in decision.waits["a1"]
    assert "(no room)" in decision.waits["a1"]
    assert decided(lost, now=1010.0).start == ["a1"]
    assert decided(replace(lost, attempts=ATTEMPTS), now=1010.0).fail == ["a1"]


def test_a_run_that_this_server_can_not_drive_is_neither_started_nor_given_up() -> None:
    decision = decided(run("a1", hindrance="it is of environment b", attempts=ATTEMPTS))
    assert (decision.start, decision.fail, decision.waits) == ([], [], {"a1": "it is of environment b"})


PIPELINES = ["p", *NEEDS.pipelines]
RUNS = some.lists(
    some.builds(
        Unfinished,
        run=some.uuids().map(str),
        pipeline=some.sampled_from(PIPELINES),
        place=some.sampled_from(list(Place)),
        created=some.integers(0, 9).map(float),
        trigger=some.sampled_from(["", "t", "u", "freely"]),
    ).map(lambda r: replace(r, begun=r.place is not Place.QUEUED)),
    max_size=30,
    unique_by=lambda r: r.run,
)


@given(RUNS)
def test_no_limit_is_passed_each_run_is_accounted_for_and_one_that_is_alone_starts(runs: list[Unfinished]) -> None:
    decision = decided(*runs)
    waiting = {r.run for r in runs if r.is_waiting}
    assert {*decision.start} | {*decision.waits} == waiting
    assert not {*decision.start} & {*decision.waits}
    here = [r for r in runs if r.place is Place.HERE]
    started = [r for r in runs if r.run in decision.start]
    assert len(started) <= max(0, LIMITS.slots - len(here))
    for pool, places in LIMITS.pools.items():
        takers = [r for r in runs if pool in NEEDS.of(r.pipeline).pools]
        before = [r for r in takers if r.place in (Place.HERE, Place.ELSEWHERE, Place.LOST)]
        fresh = [r for r in takers if r in started and r.place is Place.QUEUED]
        assert not fresh or len(before) + len(fresh) <= places
    memory = sum(NEEDS.of(r.pipeline).memory for r in started)
    assert len([r for r in started if NEEDS.of(r.pipeline).memory]) <= 1 or memory <= LIMITS.memory
    for trigger in ("t", "u"):
        assert len([r for r in started if r.trigger == trigger and not r.begun]) <= 1
    if waiting and all(r.is_waiting for r in runs):
        assert decision.start  # nothing goes on, so that nothing can end for which all might wait
