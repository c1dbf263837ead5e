from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.runs.plain_journal import PlainJournal

from trikk.core.errors import (
    Conflict,
    JournalError,
    LeaseHeld,
    LeaseLost,
    RunExists,
    TrikkError,
    UnknownName,
    UsageError,
)
from trikk.core.names import new_run_id
from trikk.runs.journals.journal import Event, Journal
from trikk.runs.journals.lease import Holder
from trikk.runs.journals.open_journal import open_journal
from trikk.runs.journals.projection import fold

ME = Holder.current()
ELSEWHERE = Holder("elsewhere", "boot", 7, 1.0)
HOSTILE = [
    "%",
    "_",
    "a%",
    "_bc",
    "'",
    '"',
    "a' OR 1=1 --",
    "a\0b",
    "\0",
    "",
    " ",
    "../x",
    "\ud800",
    "é",
    "a" * 5000,
]

on_one_journal = settings(
    max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


# ---- events


def test_an_event_after_one_that_is_not_the_last_is_refused(journal: Journal) -> None:
    created = journal.create("abc", "p", {}, at=1)
    journal.append("abc", "step.started", {}, at=2, after=created.seq)
    with pytest.raises(Conflict):
        journal.append("abc", "step.started", {}, at=3, after=created.seq)
    with pytest.raises(Conflict):
        journal.append_many("abc", [("step.started", {}), ("run.failed", {})], at=3, after=created.seq)
    assert [event.at for event in journal.events("abc")] == [1, 2]
    assert journal.row("abc").state == "queued"


def test_a_created_run_has_one_event_and_a_queued_row(journal: Journal) -> None:
    event = journal.create("abc", "p", {"parameters": {"a": 1}, "origin": {"kind": "replay", "of": "x"}}, at=5)
    assert journal.events("abc") == [event]
    assert (event.kind, event.run, event.at, event.body["pipeline"]) == ("run.created", "abc", 5.0, "p")
    row = journal.row("abc")
    assert (row.id, row.pipeline, row.state, row.created, row.started) == ("abc", "p", "queued", 5.0, None)
    assert (row.parameters, row.origin, row.forgotten) == ({"a": 1}, {"kind": "replay", "of": "x"}, False)


def test_a_run_of_the_same_id_is_refused_and_changes_nothing(journal: Journal) -> None:
    journal.create("abc", "p", {}, at=1)
    with pytest.raises(RunExists):
        journal.create("abc", "q", {}, at=2)
    assert journal.row("abc").pipeline == "p"
    assert len(journal.events("abc")) == 1


def test_events_come_in_order_of_seq_whatever_their_time(journal: Journal) -> None:
    journal.create("abc", "p", {}, at=10)
    made = [journal.append("abc", f"note.{i}", {"i": i}, at=10 - i) for i in range(5)]
    assert journal.events("abc")[1:] == made
    assert [event.seq for event in made] == sorted({event.seq for event in made})
    assert journal.events("abc", after=made[2].seq) == made[3:]
    assert journal.events("abc", after=made[-1].seq) == []
    assert journal.last_seq("abc") == made[-1].seq


def test_runs_do_not_mix(journal: Journal) -> None:
    journal.create("abc", "p", {}, at=1)
    journal.create("abd", "p", {}, at=1)
    first = journal.append("abc", "note", {}, at=2)
    second = journal.append("abd", "note", {}, at=2)
    assert journal.events("abc")[1:] == [first]
    assert journal.last_seq("abc") < journal.last_seq("abd") == second.seq
    journal.append("abd", "remark", {}, at=3)
    kinds = ("run.created", "note", "remark", "not")
    assert [journal.has_event("abc", kind) for kind in kinds] == [True, True, False, False]


def test_several_events_are_appended_all_or_none(journal: Journal) -> None:
    journal.create("abc", "p", {}, at=1)
    made = journal.append_many("abc", [("run.started", {}), ("note", {"a": 1}), ("run.succeeded", {})], at=2)
    assert [event.kind for event in made] == ["run.started", "note", "run.succeeded"]
    assert journal.events("abc")[1:] == made
    assert journal.row("abc").state == "succeeded"
    with pytest.raises(UsageError):
        journal.append_many("abc", [("note", {}), ("note", {"a": object()})], at=3)  # type: ignore[dict-item]
    assert journal.events("abc")[1:] == made
    assert journal.append_many("abc", [], at=4) == []


def test_the_row_follows_the_events(journal: Journal) -> None:
    journal.create("abc", "p", {}, at=1)
    journal.append("abc", "run.started", {}, at=2)
    assert journal.row("abc").state == "running"
    journal.append("abc", "run.failed", {"error": "boom"}, at=3)
    failed = journal.row("abc")
    assert (failed.state, failed.started, failed.ended, failed.error) == ("failed", 2.0, 3.0, "boom")
    journal.append("abc", "run.resumed", {}, at=4)
    resumed = journal.row("abc")
    assert (resumed.state, resumed.started, resumed.ended, resumed.error) == ("running", 2.0, None, None)


@pytest.mark.parametrize("kind", ["run.created", "run.forgotten", "", "a\0b", "a\nb", "\ud800"])
def test_kinds_that_are_the_journals_own_or_unprintable_are_refused(journal: Journal, kind: str) -> None:
    journal.create("abc", "p", {}, at=1)
    with pytest.raises(UsageError):
        journal.append("abc", kind, {}, at=2)
    assert len(journal.events("abc")) == 1


@pytest.mark.parametrize("body", [{"a": object()}, {"a": {1, 2}}, ["a"], None])
def test_a_body_that_is_not_json_is_refused_before_anything_is_written(journal: Journal, body: Any) -> None:
    journal.create("abc", "p", {}, at=1)
    with pytest.raises(UsageError):
        journal.append("abc", "note", body, at=2)
    assert len(journal.events("abc")) == 1


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=12,
)


@given(body=st.dictionaries(st.text(st.characters()), json_values, max_size=5))
@on_one_journal
def test_any_json_body_is_read_back_equal(journal: Journal, body: dict[str, Any]) -> None:
    run = new_run_id()
    journal.create(run, "p", {"parameters": body}, at=1)
    journal.append(run, "note", body, at=2)
    assert journal.events(run)[1].body == body
    assert journal.row(run).parameters == body


def test_text_that_databases_dislike_is_read_back_equal(journal: Journal) -> None:
    text = "NUL \0, surrogate \ud800, 😀, Ærø, \u202e, %s %(a)s :a ? $1 \\u0000 \\"
    journal.create("abc", "Ærø %s :a", {"parameters": {text: text}}, at=1)
    journal.append("abc", "run.failed", {"error": text}, at=2)
    row = journal.row("abc")
    assert (row.error, row.parameters, row.pipeline) == (text, {text: text}, "Ærø %s :a")
    assert journal.runs(pipeline="Ærø %s :a") == [row]
    assert journal.check() == []


def test_not_a_number_is_read_back(journal: Journal) -> None:
    journal.create("abc", "p", {}, at=1)
    journal.append("abc", "note", {"mae": math.nan, "worst": math.inf}, at=2)
    body = journal.events("abc")[1].body
    assert math.isnan(body["mae"])
    assert body["worst"] == math.inf


def test_a_large_body_is_read_back_equal(journal: Journal) -> None:
    body = {"log": "x" * 5_000_000, "list": list(range(100_000))}
    journal.create("abc", "p", {}, at=1)
    journal.append("abc", "note", body, at=2)  # type: ignore[arg-type]
    assert journal.events("abc")[1].body == body


def test_a_body_changed_afterwards_does_not_change_the_journal(journal: Journal) -> None:
    body: dict[str, Any] = {"parameters": {"a": [1]}}
    journal.create("abc", "p", body, at=1)
    body["parameters"]["a"].append(2)
    journal.row("abc").parameters["a"] = 3
    journal.events("abc")[0].body.clear()
    assert journal.row("abc").parameters == {"a": [1]}
    assert journal.events("abc")[0].body["parameters"] == {"a": [1]}


# ---- names from outside


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_id_is_refused_when_created_and_unknown_everywhere_else(journal: Journal, name: str) -> None:
    journal.create("abc", "p", {}, at=1)
    with pytest.raises(UsageError):
        journal.create(name, "p", {}, at=2)
    for ask in (
        lambda: journal.row(name),
        lambda: journal.events(name),
        lambda: journal.last_seq(name),
        lambda: journal.has_event(name, "note"),
        lambda: journal.lease(name),
        lambda: journal.append(name, "note", {}, at=2),
        lambda: journal.acquire(name, ME, ttl=1, now=1),
        lambda: journal.forget(name, at=2),
    ):
        with pytest.raises(UnknownName) as caught:
            ask()
        assert len(str(caught.value)) < 500
    assert journal.count() == 1


@pytest.mark.parametrize("name", [name for name in HOSTILE if name])
def test_hostile_text_finds_nothing(journal: Journal, name: str) -> None:
    journal.create("abc", "p", {}, at=1)
    journal.cache_put("key", "p", "s", {}, at=1)
    assert journal.find(name) == []
    assert journal.runs(pipeline=name) == journal.runs(state=name) == []
    assert journal.count(pipeline=name, state=name) == 0
    assert journal.cache_get(name) is None
    assert journal.cache_latest(name, "s") is journal.cache_latest("p", name) is None


def test_an_unknown_run_is_answered_with_ids_that_look_like_it(journal: Journal) -> None:
    with pytest.raises(UnknownName) as nothing:
        journal.row("abcdef")
    assert nothing.value.next is not None
    journal.create("abcdeg", "p", {}, at=1)
    with pytest.raises(UnknownName) as close:
        journal.events("abcdef")
    assert "abcdeg" in str(close.value.next)


def test_ids_are_found_by_prefix_the_newest_first_and_ten_at_most(journal: Journal) -> None:
    ids = [f"ab{i:02d}" for i in range(12)]
    for run in [*ids, "aB99", "ac00", "a-b", "a_b", "a"]:
        journal.create(run, "p", {}, at=0)
    assert journal.find("ab") == ids[:1:-1]
    assert journal.find("ab0") == ids[9::-1]
    assert journal.find("ab07") == ["ab07"]
    assert journal.find("aB") == ["aB99"]
    assert journal.find("a_") == ["a_b"]
    assert journal.find("a-") == ["a-b"]
    assert journal.find("zz") == []
    assert journal.find("")[:2] == ["a", "a_b"]


# ---- rows


def test_runs_are_listed_the_newest_created_first_with_filters_and_pages(journal: Journal) -> None:
    for i in range(6):
        journal.create(f"r{i}", "even" if i % 2 == 0 else "odd", {}, at=100 - i)
        if i < 3:
            journal.append(f"r{i}", "run.started", {}, at=200)
    assert [row.id for row in journal.runs()] == ["r5", "r4", "r3", "r2", "r1", "r0"]
    assert [row.id for row in journal.runs(limit=2, offset=1)] == ["r4", "r3"]
    assert [row.id for row in journal.runs(pipeline="odd")] == ["r5", "r3", "r1"]
    assert [row.id for row in journal.runs(state="running")] == ["r2", "r1", "r0"]
    assert [row.id for row in journal.runs(pipeline="even", state="running", limit=None)] == ["r2", "r0"]
    assert [row.id for row in journal.runs(limit=2, before="r4")] == ["r3", "r2"]
    assert [row.id for row in journal.runs(pipeline="even", state="running", before="r3")] == ["r2", "r0"]
    assert [row.id for row in journal.runs(limit=2, after="r1")] == ["r2", "r3"]
    assert [row.id for row in journal.runs(pipeline="even", state="running", after="r1")] == ["r2"]
    assert journal.runs(limit=0) == journal.runs(offset=6) == journal.runs(before="r0") == []
    with pytest.raises(UnknownName):
        journal.runs(before="")
    assert (journal.count(), journal.count(pipeline="odd"), journal.count(state="running")) == (6, 3, 3)
    assert journal.count(pipeline="even", state="queued") == 1
    assert journal.runs()[0] == journal.row("r5")


def test_twenty_runs_are_listed_unless_more_are_asked_for(journal: Journal) -> None:
    for i in range(25):
        journal.create(f"r{i}", "p", {}, at=i)
    assert len(journal.runs()) == 20
    assert len(journal.runs(limit=None)) == 25


kinds = st.sampled_from(
    ["run.started", "run.resumed", "run.succeeded", "run.failed", "run.cancelled", "step.succeeded", "note"]
)
bodies = st.fixed_dictionaries({}, optional={"error": st.none() | st.text() | st.integers(), "state": st.text()})


@given(batches=st.lists(st.lists(st.tuples(kinds, bodies), max_size=4), max_size=6), forget=st.booleans())
@on_one_journal
def test_a_row_is_always_the_fold_of_its_events(
    journal: Journal, batches: list[list[tuple[str, dict[str, Any]]]], forget: bool
) -> None:
    run = new_run_id()
    journal.create(run, "p", {"parameters": {"a": 1}}, at=0)
    for at, batch in enumerate(batches, start=1):
        journal.append_many(run, batch, at=at)
        assert journal.row(run) == fold(journal.events(run))
    before = journal.row(run)
    if forget:
        journal.forget(run, at=99)
        assert journal.row(run) == fold(journal.events(run))
        assert (before.state, before.ended, before.error) == (
            journal.row(run).state,
            journal.row(run).ended,
            journal.row(run).error,
        )
    assert journal.check() == []


# ---- leases


def test_a_lease_has_a_greater_epoch_each_time(journal: Journal) -> None:
    journal.create("abc", "p", {}, at=1)
    assert journal.lease("abc") is None
    first = journal.acquire("abc", ME, ttl=30, now=100)
    assert journal.lease("abc") == first
    assert (first.run, first.holder, first.expires, first.since) == ("abc", ME, 130.0, 100.0)
    journal.release(first)
    assert journal.lease("abc") is None
    second = journal.acquire("abc", ME, ttl=30, now=50)
    assert second.epoch > first.epoch


def test_the_leases_of_runs_that_are_not_over_are_read_at_once(journal: Journal) -> None:
    for run in ("abc", "def", "ghi", "jkl"):
        journal.create(run, "p", {}, at=1)
    assert journal.leases() == {}
    first, second, over = (journal.acquire(run, ME, ttl=30, now=100) for run in ("abc", "def", "ghi"))
    journal.append("def", "run.started", {}, at=101, lease=second)
    journal.append("ghi", "run.failed", {}, at=101, lease=over)
    assert journal.leases() == {"abc": first, "def": second}
    journal.release(first)
    assert journal.leases() == {"def": second}


def test_a_renewed_lease_is_the_same_but_for_its_end(journal: Journal) -> None:
    journal.create("abc", "p", {}, at=1)
    first = journal.acquire("abc", ME, ttl=30, now=100)
    renewed = journal.renew(first, ttl=30, now=120)
    assert (renewed.epoch, renewed.expires, renewed.since) == (first.epoch, 150.0, 100.0)
    assert journal.lease("abc") == renewed


def test_a_lease_held_here_is_refused_with_who_has_it_and_what_to_do(journal: Journal) -> None:
    journal.create("abc", "p", {}, at=1)
    journal.acquire("abc", ME, ttl=30, now=0)
    with pytest.raises(LeaseHeld) as caught:
        journal.acquire("abc", ME, ttl=30, now=1_000_000)
    assert str(ME.pid) in caught.value.what
    assert ME.host in caught.value.what
    assert "1970-01-01T00:00:00" in caught.value.what
    assert caught.value.next


def test_a_lease_of_another_host_is_taken_only_when_it_ran_out(journal: Journal) -> None:
    journal.create("abc", "p", {}, at=1)
    theirs = journal.acquire("abc", ELSEWHERE, ttl=30, now=100)
    with pytest.raises(LeaseHeld):
        journal.acquire("abc", ME, ttl=30, now=129)
    mine = journal.acquire("abc", ME, ttl=30, now=130)
    assert mine.epoch == theirs.epoch + 1


def test_a_driver_that_was_overtaken_writes_nothing_more(journal: Journal) -> None:
    journal.create("abc", "p", {}, at=1)
    old = journal.acquire("abc", ELSEWHERE, ttl=30, now=100)
    journal.append("abc", "run.started", {}, at=101, lease=old)
    new = journal.acquire("abc", ME, ttl=30, now=200)
    with pytest.raises(LeaseLost):
        journal.append("abc", "run.failed", {}, at=201, lease=old)
    with pytest.raises(LeaseLost):
        journal.append_many("abc", [("note", {}), ("run.failed", {})], at=201, lease=old)
    with pytest.raises(LeaseLost):
        journal.renew(old, ttl=30, now=201)
    journal.release(old)
    assert journal.lease("abc") == new
    assert journal.append("abc", "note", {}, at=202, lease=new).kind == "note"
    assert [event.kind for event in journal.events("abc")] == ["run.created", "run.started", "note"]
    assert journal.row("abc").state == "running"


def test_a_released_lease_writes_nothing_more(journal: Journal) -> None:
    journal.create("abc", "p", {}, at=1)
    lease = journal.acquire("abc", ME, ttl=30, now=100)
    journal.release(lease)
    journal.release(lease)
    with pytest.raises(LeaseLost):
        journal.append("abc", "note", {}, at=101, lease=lease)
    with pytest.raises(LeaseLost):
        journal.renew(lease, ttl=30, now=101)


def test_a_lease_of_one_run_does_not_serve_another(journal: Journal) -> None:
    journal.create("abc", "p", {}, at=1)
    journal.create("abd", "p", {}, at=1)
    lease = journal.acquire("abc", ME, ttl=30, now=100)
    with pytest.raises(LeaseLost):
        journal.append("abd", "note", {}, at=101, lease=lease)
    journal.acquire("abd", ME, ttl=30, now=100)
    with pytest.raises(LeaseLost):
        journal.append("abd", "note", {}, at=101, lease=lease)


def test_anyone_may_append_without_a_lease(journal: Journal) -> None:
    journal.create("abc", "p", {}, at=1)
    journal.acquire("abc", ELSEWHERE, ttl=30, now=100)
    assert journal.append("abc", "run.cancel-requested", {}, at=101).seq == journal.last_seq("abc")


# ---- forgetting


def test_a_forgotten_run_keeps_its_line_and_its_creation(journal: Journal) -> None:
    created = journal.create("abc", "p", {"parameters": {"a": 1}}, at=1)
    journal.create("abd", "p", {}, at=1)
    journal.append("abc", "run.started", {}, at=2)
    journal.append("abc", "note", {"secret": "x"}, at=3)
    journal.append("abc", "run.failed", {"error": "boom"}, at=4)
    before, last = journal.row("abc"), journal.last_seq("abc")
    journal.forget("abc", at=5)
    kept = journal.events("abc")
    assert kept[0] == created
    assert [event.kind for event in kept] == ["run.created", "run.forgotten"]
    assert journal.last_seq("abc") > last
    after = journal.row("abc")
    assert after.forgotten
    assert not before.forgotten
    assert (after.state, after.started, after.ended, after.error) == ("failed", 2.0, 4.0, "boom")
    assert (after.parameters, journal.find("abc")) == ({"a": 1}, ["abc"])
    assert len(journal.events("abd")) == 1
    assert journal.check() == []
    journal.forget("abc", at=6)
    assert journal.events("abc") == kept


def test_a_run_that_a_driver_has_is_not_forgotten(journal: Journal) -> None:
    journal.create("abc", "p", {}, at=1)
    lease = journal.acquire("abc", ME, ttl=30, now=100)
    journal.append("abc", "run.started", {}, at=100, lease=lease)
    with pytest.raises(LeaseHeld):
        journal.forget("abc", at=1000)
    assert len(journal.events("abc")) == 2
    journal.release(lease)
    journal.forget("abc", at=1000)
    assert journal.row("abc").forgotten


def test_forgetting_fences_a_driver_whose_lease_ran_out(journal: Journal) -> None:
    journal.create("abc", "p", {}, at=1)
    lease = journal.acquire("abc", ELSEWHERE, ttl=30, now=100)
    journal.forget("abc", at=1000)
    with pytest.raises(LeaseLost):
        journal.append("abc", "note", {}, at=1001, lease=lease)
    assert journal.lease("abc") is None


# ---- the index of step results


def test_a_stored_result_is_found_by_its_key_and_the_last_one_by_its_step(journal: Journal) -> None:
    assert journal.cache_get("k1") is None
    assert journal.cache_latest("p", "s") is None
    journal.cache_put("k1", "p", "s", {"n": 1}, at=9)
    journal.cache_put("k2", "p", "s", {"n": 2}, at=5)
    journal.cache_put("k3", "p", "t", {"n": 3}, at=5)
    journal.cache_put("k4", "q", "s", {"n": 4}, at=5)
    assert [journal.cache_get(f"k{i}") for i in (1, 2, 3, 4)] == [{"n": i} for i in (1, 2, 3, 4)]
    assert journal.cache_latest("p", "s") == {"n": 2}
    journal.cache_put("k1", "p", "s", {"n": 11}, at=1)
    assert journal.cache_get("k1") == journal.cache_latest("p", "s") == {"n": 11}
    journal.cache_put("k1", "q", "s", {"n": 12}, at=1)
    assert journal.cache_latest("p", "s") == {"n": 2}


@pytest.mark.parametrize("field", ["key", "pipeline", "step"])
def test_a_result_under_a_name_that_can_not_be_stored_is_refused(journal: Journal, field: str) -> None:
    names = {"key": "k", "pipeline": "p", "step": "s", field: "a\0b"}
    with pytest.raises(UsageError):
        journal.cache_put(**names, body={}, at=1)


# ---- using and closing


def test_a_closed_journal_says_so(journal: Journal) -> None:
    journal.create("abc", "p", {}, at=1)
    journal.close()
    journal.close()
    for ask in (
        lambda: journal.row("abc"),
        lambda: journal.runs(),
        lambda: journal.append("abc", "note", {}, at=1),
        lambda: journal.cache_get("k"),
        lambda: journal.create("abd", "p", {}, at=1),
    ):
        with pytest.raises(JournalError):
            ask()


def test_threads_append_to_one_journal_and_nothing_is_lost(journal: Journal) -> None:
    journal.create("abc", "p", {}, at=1)
    failures: list[BaseException] = []

    def work(who: int) -> None:
        try:
            for number in range(25):
                journal.append("abc", "note", {"who": who, "number": number}, at=1)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    notes = [event.body for event in journal.events("abc")[1:]]
    assert len(notes) == 100
    for who in range(4):
        assert [note["number"] for note in notes if note["who"] == who] == list(range(25))
    assert journal.last_seq("abc") == journal.events("abc")[-1].seq


def test_what_was_written_is_there_when_the_journal_is_opened_again(
    shared_location: str, opened: Callable[[str], Journal]
) -> None:
    first = opened(shared_location)
    first.create("abc", "p", {"parameters": {"a": 1}}, at=1)
    first.append("abc", "run.started", {}, at=2)
    lease = first.acquire("abc", ME, ttl=30, now=3)
    first.cache_put("k", "p", "s", {"n": 1}, at=4)
    events, row = first.events("abc"), first.row("abc")
    first.close()
    second = opened(shared_location)
    assert (second.events("abc"), second.row("abc"), second.lease("abc")) == (events, row, lease)
    assert second.cache_get("k") == {"n": 1}
    assert second.append("abc", "note", {}, at=5, lease=lease).seq > events[-1].seq


# ---- one contract


runs = st.sampled_from(["a", "b", "c"])
holders = st.sampled_from([ME, ELSEWHERE, Holder("third", "boot", 1, 2.0)])
operations = st.one_of(
    st.tuples(st.just("create"), runs, st.sampled_from(["p", "q"])),
    st.tuples(st.just("append"), runs, kinds, bodies, st.sampled_from([None, "a", "b"])),
    st.tuples(st.just("acquire"), runs, holders),
    st.tuples(st.sampled_from(["release", "renew", "lease", "forget", "events", "row", "last_seq"]), runs),
    st.tuples(st.just("runs"), st.sampled_from([None, "p"]), st.sampled_from([None, "running"])),
    st.tuples(st.just("find"), st.sampled_from(["", "a", "z"])),
    st.tuples(st.just("cache_put"), st.sampled_from(["k", "l"]), st.sampled_from(["p", "q"])),
    st.tuples(st.just("cache_latest"), st.sampled_from(["p", "q"])),
)


def perform(
    journal: Journal | PlainJournal, leases: dict[str, Any], operation: tuple[Any, ...], now: float
) -> Any:
    """One operation's result, or the class of its error; numbers of events are left out."""
    what, *given = operation
    try:
        if what == "create":
            return bare(journal.create(given[0], given[1], {"parameters": {"n": now}}, at=now))
        if what == "append":
            return bare(journal.append(*given[:3], at=now, lease=leases.get(given[3])))
        if what == "acquire":
            leases[given[0]] = journal.acquire(*given, ttl=5, now=now)
            return leases[given[0]]
        if what in ("release", "renew"):
            lease = leases.get(given[0])
            extra = {"ttl": 5, "now": now} if what == "renew" else {}
            return lease and getattr(journal, what)(lease, **extra)
        if what == "forget":
            return journal.forget(given[0], at=now)
        if what == "runs":
            return journal.runs(pipeline=given[0], state=given[1]), journal.count(
                pipeline=given[0], state=given[1]
            )
        if what == "cache_put":
            return journal.cache_put(given[0], given[1], "s", {"now": now}, at=now)
        if what == "cache_latest":
            return journal.cache_latest(given[0], "s")
        found = getattr(journal, what)(*given)
        if what == "last_seq":
            return [event.seq for event in journal.events(given[0])].index(found)
        return [bare(event) for event in found] if what == "events" else found
    except TrikkError as error:
        return type(error), error.next


def bare(event: Event) -> tuple[Any, ...]:
    return event.run, event.kind, event.at, json.dumps(event.body, sort_keys=True)


@given(script=st.lists(operations, max_size=40))
@settings(max_examples=40, deadline=None, database=None)
def test_sqlite_answers_every_sequence_of_calls_as_a_plain_model_does(
    tmp_path_factory: pytest.TempPathFactory, script: list[tuple[Any, ...]]
) -> None:
    reference = PlainJournal()
    journals = [open_journal(str(tmp_path_factory.mktemp("journal") / "journal.db")), open_journal("memory:")]
    try:
        leases: list[dict[str, Any]] = [{}, {}, {}]
        for now, operation in enumerate(script, start=1):
            expected = perform(reference, leases[2], operation, now)
            for journal, mine in zip(journals, leases, strict=False):
                assert perform(journal, mine, operation, now) == expected, operation
        assert [journal.check() for journal in (*journals, reference)] == [[], [], []]
    finally:
        for journal in journals:
            journal.close()


# ---- ends of runs


def test_ends_are_followed_by_number_across_runs(journal: Journal) -> None:
    assert journal.ends(after=0) == ([], 0)
    for run in ("a", "b", "c"):
        journal.create(run, "p", {}, at=1)
        journal.append(run, "run.started", {}, at=2)
    failed = journal.append("b", "run.failed", {"error": "x"}, at=3)
    cancelled = journal.append("c", "run.cancelled", {"error": "y"}, at=3)
    journal.append("b", "run.resumed", {}, at=4)
    ends, newest = journal.ends(after=0)
    assert ends == [failed, cancelled]
    assert newest == journal.last_seq("b")
    succeeded = journal.append("b", "run.succeeded", {}, at=5)
    assert journal.ends(after=newest) == ([succeeded], succeeded.seq)
    assert journal.ends(after=failed.seq) == ([cancelled, succeeded], succeeded.seq)
    assert journal.ends(after=1 << 62) == ([], succeeded.seq)
    journal.forget("b", at=6)
    assert journal.ends(after=0) == ([cancelled], journal.last_seq("b"))
