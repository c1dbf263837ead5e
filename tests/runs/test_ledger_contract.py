"""What every ledger promises, for each kind of journal."""

from __future__ import annotations

import multiprocessing

import pytest

from trikk.core.errors import Conflict, JournalError, RunExists, UsageError
from trikk.runs.journals.journal import Cause, Journal
from trikk.runs.journals.ledger import _LOOKED_THROUGH_AGAIN, Added, Entry, Follower
from trikk.runs.journals.open_journal import open_journal


def test_entries_come_back_in_order_and_by_subject(journal: Journal):
    first = journal.add("model/a", "version.registered", {"version": 1}, at=1.5).entry
    journal.add("model/b", "version.registered", {"version": 1}, at=2.0)
    second = journal.add("model/a", "alias.moved", {"to": "x\0y"}, at=3.0).entry
    assert journal.entries("model/a") == [first, second]
    assert journal.entries("model/a", after=first.seq) == [second]
    assert second.body == {"to": "x\0y"}
    assert first.seq < second.seq


def test_an_identity_is_added_once_whatever_else_is_said(journal: Journal):
    made = journal.add("s", "k", {"n": 1}, at=1.0, identity="run/step")
    again = journal.add("s", "other", {"n": 2}, at=2.0, identity="run/step", after=0)
    assert (made.repeated, again.repeated) == (False, True)
    assert again.entry == made.entry
    assert not journal.add("t", "k", {}, at=1.0, identity="run/step").repeated


def test_entries_without_identity_may_be_alike(journal: Journal):
    for _ in range(2):
        assert not journal.add("s", "k", {}, at=1.0).repeated
    assert len(journal.entries("s")) == 2


def test_an_entry_after_one_that_is_not_the_last_is_refused(journal: Journal):
    first = journal.add("s", "k", {}, at=1.0, after=0).entry
    journal.add("other", "k", {}, at=1.0)
    journal.add("s", "k", {}, at=1.0, after=first.seq)
    with pytest.raises(Conflict):
        journal.add("s", "k", {}, at=1.0, after=first.seq)
    assert len(journal.entries("s")) == 2


def once(journal: Journal, run: str, identity: str, after: int | None = None) -> Added:
    body = {"parameters": {"n": 1}, "origin": {"kind": "trigger"}}
    cause = Cause("trigger/t", "tick.started", identity, {"tick": identity}, after)
    return journal.create_once(run, "p", body, cause, at=2.0)


def test_a_cause_begins_one_run_and_names_it_to_whoever_comes_later(journal: Journal):
    first, second = once(journal, "abc", "tick/1"), once(journal, "def", "tick/1")
    assert (first.repeated, second.repeated) == (False, True)
    assert first.entry == second.entry
    assert first.entry.body == {"tick": "tick/1", "run": "abc"}
    assert [row.id for row in journal.runs()] == ["abc"]
    assert journal.row("abc").origin == {"kind": "trigger"}
    assert journal.check() == []


def test_a_cause_that_was_changed_meanwhile_begins_no_run(journal: Journal):
    once(journal, "abc", "tick/1")
    with pytest.raises(Conflict):
        once(journal, "def", "tick/2", after=0)
    assert [row.id for row in journal.runs()] == ["abc"]


def test_a_run_whose_id_is_taken_leaves_no_entry(journal: Journal):
    journal.create("abc", "q", {}, at=1.0)
    with pytest.raises(RunExists):
        once(journal, "abc", "tick/1")
    assert journal.entries("trigger/t") == []
    assert journal.row("abc").pipeline == "q"


def test_subjects_are_found_by_their_beginning(journal: Journal):
    for subject in ("model/b", "model/a", "modelling", "sweep/ü_%", "model/b"):
        journal.add(subject, "k", {}, at=1.0)
    assert journal.subjects("model/") == ["model/a", "model/b"]
    assert journal.subjects("sweep/ü_") == ["sweep/ü_%"]
    assert len(journal.subjects()) == 4
    assert journal.subjects("none") == journal.entries("none") == []


def test_subjects_that_only_look_alike_are_kept_apart(journal: Journal):
    for subject in ("m/a", "m/A", "m/a-b/x", "m/a/x", "m/a/~", "m/a0", "m/b/x/y", "m/~/z", "mm/c", "M/c", "l/z"):
        journal.add(subject, "k", {}, at=1.0)
    assert journal.children("m/") == ["A", "a", "a-b", "a0", "b", "~"]
    assert journal.children("m/a/") == ["x", "~"]
    assert journal.children("none/") == journal.children("") == []
    assert journal.subjects("m/a/") == ["m/a/x", "m/a/~"]
    assert [entry.subject for entry in journal.history("m/a")] == ["m/a", "m/a-b/x", "m/a/x", "m/a/~", "m/a0"]
    assert [entry.subject for entry in journal.history("m/~")] == ["m/~/z"]


def test_the_newest_entry_and_the_history_of_many_subjects(journal: Journal):
    made = [journal.add(subject, "k", {}, at=1.0).entry for subject in ("a/1", "a/2", "b", "a/1")]
    assert journal.last("a/1") == made[3]
    assert journal.last("nobody") is None
    assert journal.newest("a/1", 9) == [made[3], made[0]]
    assert journal.newest("a/1", 1) == [made[3]]
    assert journal.newest("a/1", 9, before=made[3].seq) == [made[0]]
    assert journal.newest("a/1", 9, before=1 << 70) == [made[3], made[0]]
    assert journal.newest("a/1", 9, before=-1) == journal.newest("nobody", 9) == journal.newest("", 9) == []
    named = journal.add("b", "k", {"n": 1}, at=1.0, identity="x").entry
    assert journal.of_identity("b", "x") == named
    assert journal.of_identity("b", "y") is journal.of_identity("a/1", "x") is journal.of_identity("b", "") is None
    assert journal.history("a/") == [made[0], made[1], made[3]]
    assert journal.history("a/", after=made[0].seq, limit=1) == [made[1]]
    assert journal.history("") == [*made, named]


def test_a_caller_s_dict_is_not_shared(journal: Journal):
    body = {"n": [1]}
    made = journal.add("s", "k", body, at=1.0).entry
    body["n"].append(2)
    made.body["n"] = "changed"
    assert journal.entries("s")[0].body == {"n": [1]}


@pytest.mark.parametrize(("subject", "kind", "identity"), [("", "k", None), ("s", "a\nb", None), ("s", "k", "\0")])
def test_what_can_not_be_stored_is_refused(journal: Journal, subject: str, kind: str, identity: str | None):
    with pytest.raises(UsageError):
        journal.add(subject, kind, {}, at=1.0, identity=identity)


def test_a_closed_ledger_says_so(journal: Journal):
    journal.close()
    with pytest.raises(JournalError):
        journal.entries("s")


def _race(location: str, name: str, start: object) -> None:
    journal = open_journal(location)
    start.wait()  # type: ignore[attr-defined]
    for _ in range(25):
        journal.add("shared", "once", {"by": name}, at=1.0, identity="the one")
        while True:
            seen = journal.entries("shared")
            number = sum(e.kind == "number" for e in seen) + 1
            try:
                journal.add("shared", "number", {"n": number}, at=1.0, after=seen[-1].seq)
                break
            except Conflict:
                continue
    journal.close()


def test_processes_that_race_number_without_gaps_and_add_once(shared_location: str):
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(3)
    racers = [spawn.Process(target=_race, args=(shared_location, f"p{i}", start)) for i in range(3)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    assert [r.exitcode for r in racers] == [0, 0, 0]
    journal = open_journal(shared_location)
    entries = journal.entries("shared")
    journal.close()
    assert sum(e.kind == "once" for e in entries) == 1
    assert [e.body["n"] for e in entries if e.kind == "number"] == list(range(1, 76))


def test_who_follows_subjects_gets_each_entry_once_and_reads_what_is_new(journal: Journal) -> None:
    follower = Follower(journal, "a/")
    first = [journal.add(subject, "k", {}, at=1.0).entry for subject in ("a/1", "b", "a/2")]
    assert follower.new() == [first[0], first[2]]
    assert follower.new() == []
    for n in range(_LOOKED_THROUGH_AGAIN + 5):
        journal.add("b", "k", {"n": n}, at=1.0)
    last = journal.add("a/1", "k", {}, at=1.0).entry
    assert follower.new() == [last]
    assert follower.new() == []


def test_who_follows_gets_what_was_committed_after_a_later_one() -> None:
    known = [Entry(seq, "a/1", "k", 1.0, {}) for seq in (1, 2, 4)]
    asked: list[int] = []

    class Late:
        def history(self, _: str, *, after: int) -> list[Entry]:
            asked.append(after)
            return [entry for entry in known if entry.seq > after]

    follower = Follower(Late(), "a/")  # type: ignore[arg-type]
    assert [entry.seq for entry in follower.new()] == [1, 2, 4]
    known.insert(2, Entry(3, "a/2", "k", 1.0, {}))
    assert [entry.seq for entry in follower.new()] == [3]
    known.append(Entry(5000, "a/1", "k", 1.0, {}))
    assert [entry.seq for entry in follower.new()] == [5000]
    assert follower.new() == []
    assert asked[-1] == 5000 - _LOOKED_THROUGH_AGAIN
