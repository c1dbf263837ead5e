from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.models.making import ARTIFACT, version, with_versions

from trikk.core.errors import Conflict, UnknownName, UsageError
from trikk.models.registry import Registry
from trikk.models.version import ModelVersion, as_version, need_version
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.runs.journals.open_journal import open_journal

ME = {"by": "me", "why": "because"}


@pytest.fixture(params=["memory", "sqlite"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    journal = open_journal("memory:" if request.param == "memory" else str(tmp_path / "journal.db"))
    yield Registry(journal)
    journal.close()


def move(registry: Registry, number: int, at: float, alias: str = "champion", **more: Any) -> Any:
    return registry.move("people", alias, number, "main", at=at, **ME, **more)


def holder(registry: Registry, at: float | None = None) -> int | None:
    found = registry.holder("people", "champion", "main", at)
    return None if found is None else found.version


def test_versions_are_numbered_from_one_and_come_back_as_they_were(registry: Registry) -> None:
    made = version(metrics={"mae": 1.5}, tables={"counts": 3, "new": None}, parameters={"rate": 0.1}, run="abc")
    first, second = registry.register(made), registry.register(made)
    assert (first.version, second.version) == (1, 2)
    assert registry.versions("people") == [first, second]
    assert registry.get("people", 2) == second
    assert registry.names() == ["people"]
    assert ModelVersion.read(first.to_json()) == first
    assert as_version(first.to_json()) == first
    assert first.artifact == ARTIFACT


def test_the_same_identity_gives_the_same_version(registry: Registry) -> None:
    first = registry.register(version(description="one"), identity="run/step")
    again = registry.register(version(description="two"), identity="run/step")
    other = registry.register(version(), identity="run/other")
    assert (again, other.version) == (first, 2)


def test_references_resolve_to_alias_number_or_newest(registry: Registry) -> None:
    with_versions(registry, 3)
    move(registry, 2, 10.0)
    assert registry.resolve("people@champion", "main").version == 2
    assert registry.resolve("people:1", "main").version == 1
    assert registry.resolve("people", "main").version == 3


@pytest.mark.parametrize(
    ("reference", "hint"),
    [
        ("peple", "people"),
        ("people@champoin", "people@champion"),
        ("people:9", "1, 2"),
        ("other@x", "people"),
    ],
)
def test_what_does_not_exist_is_named_with_what_does(registry: Registry, reference: str, hint: str) -> None:
    with_versions(registry, 2)
    move(registry, 1, 10.0)
    with pytest.raises(UnknownName) as caught:
        registry.resolve(reference, "main")
    assert hint in str(caught.value.next)


def test_an_alias_belongs_to_its_environment(registry: Registry) -> None:
    with_versions(registry, 2)
    move(registry, 1, 10.0)
    assert registry.holder("people", "champion", "staging") is None
    with pytest.raises(UnknownName, match="people@champion") as caught:
        registry.resolve("people@champion", "staging")
    assert "trikk models promote people" in str(caught.value.next)


@pytest.mark.parametrize("bad", ["a@b@c", "a:0", "a:x", "", "../x", "a@../x"])
def test_rubbish_is_no_reference(registry: Registry, bad: str) -> None:
    with pytest.raises(UsageError):
        registry.resolve(bad, "main")


def test_every_move_says_who_when_why_and_from_where(registry: Registry) -> None:
    with_versions(registry, 2)
    move(registry, 1, 10.0)
    made = move(registry, 2, 20.0, decision={"mae": 1})
    assert registry.moves("people") == [registry.moves("people")[0], made]
    assert (made.at, made.by, made.why, made.former, made.version) == (20.0, "me", "because", 1, 2)
    assert made.decision == {"mae": 1}
    assert registry.moves("people", "staging") == []


def test_moving_to_the_holder_does_nothing(registry: Registry) -> None:
    with_versions(registry, 1)
    move(registry, 1, 10.0)
    assert move(registry, 1, 20.0) is None
    assert len(registry.moves("people")) == 1


def test_a_repeated_move_does_not_undo_what_came_after_it(registry: Registry) -> None:
    with_versions(registry, 2)
    move(registry, 1, 10.0)
    first = move(registry, 2, 20.0, identity="run/promote")
    registry.rollback("people", "champion", "main", at=30.0, **ME)
    assert move(registry, 2, 40.0, identity="run/promote") == first
    assert holder(registry) == 1


def test_a_move_that_was_decided_on_another_holder_is_refused(registry: Registry) -> None:
    with_versions(registry, 3)
    move(registry, 1, 10.0)
    with pytest.raises(Conflict):
        move(registry, 3, 20.0, expected=(2,))
    assert holder(registry) == 1


def test_rollback_returns_step_by_step_and_says_when_there_is_nothing_left(registry: Registry) -> None:
    with_versions(registry, 3)
    for number in (1, 2, 3):
        move(registry, number, 10.0 * number)
    assert registry.rollback("people", "champion", "main", at=40.0, **ME).version == 2
    assert registry.rollback("people", "champion", "main", at=50.0, **ME).version == 1
    with pytest.raises(UsageError, match="nothing to return to"):
        registry.rollback("people", "champion", "main", at=60.0, **ME)
    assert [holder(registry, at) for at in (5, 15, 25, 35, 45, 55)] == [None, 1, 2, 3, 2, 1]


def test_where_approval_is_required_a_move_waits(registry: Registry) -> None:
    with_versions(registry, 2)
    move(registry, 1, 10.0)
    assert registry.require_approval("people", "champion", "main", at=11.0, **ME)
    assert not registry.require_approval("people", "champion", "main", at=12.0, **ME)
    asked = move(registry, 2, 20.0)
    assert (asked.state, holder(registry)) == ("requested", 1)
    assert registry.state("people").pending == {("main", "champion"): asked}
    done = registry.approve("people", "champion", "main", by="boss", why="fine", at=30.0)
    assert (done.approved_by, done.by, done.former, done.version, done.at) == ("boss", "me", 1, 2, 30.0)
    assert holder(registry) == 2
    assert holder(registry, 25.0) == 1
    with pytest.raises(UsageError, match="waits for approval"):
        registry.approve("people", "champion", "main", by="boss", why="", at=40.0)


def test_a_rollback_needs_no_approval_and_drops_what_waited(registry: Registry) -> None:
    with_versions(registry, 3)
    move(registry, 1, 10.0)
    move(registry, 2, 20.0)
    registry.require_approval("people", "champion", "main", at=21.0, **ME)
    move(registry, 3, 30.0)
    assert registry.rollback("people", "champion", "main", at=40.0, **ME).version == 1
    assert not registry.state("people").pending
    registry.require_approval("people", "champion", "main", at=50.0, required=False, **ME)
    assert move(registry, 3, 60.0).state == "moved"


def test_registries_over_one_ledger_see_each_others_entries_and_states_do_not_change(registry: Registry) -> None:
    with_versions(registry, 1)
    before = registry.state("people")
    other = Registry(registry._ledger)
    assert with_versions(other, 1).names() == ["people"]
    move(other, 2, 10.0)
    assert (holder(registry), list(registry.state("people").versions)) == (2, [1, 2])
    assert (list(before.versions), before.moves) == ([1], [])


def test_of_moves_whose_times_run_backwards_the_later_entry_counts(registry: Registry) -> None:
    with_versions(registry, 3)
    for number, at in ((1, 100.0), (2, 50.0), (3, 70.0)):  # as when the past is caught up with
        move(registry, number, at)
    assert [holder(registry, at) for at in (40, 60, 80, 120)] == [None, 2, 3, 3]


def test_names_that_could_be_paths_are_refused(registry: Registry) -> None:
    with pytest.raises(UsageError):
        registry.register(version("../x"))
    with_versions(registry, 1)
    with pytest.raises(UsageError):
        move(registry, 1, 1.0, alias="a b")
    with pytest.raises(UsageError, match="takes a registered version"):
        need_version(3, "it")


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("move"), st.integers(1, 4), st.sampled_from(["champion", "challenger"])),
        st.tuples(st.just("rollback"), st.just(0), st.sampled_from(["champion", "challenger"])),
        st.tuples(st.just("guard"), st.integers(0, 1), st.sampled_from(["champion", "challenger"])),
        st.tuples(st.just("approve"), st.just(0), st.sampled_from(["champion", "challenger"])),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(ACTIONS)
def test_holders_at_any_time_are_those_of_a_naive_model(actions: list[tuple[str, int, str]]) -> None:
    registry = with_versions(Registry(MemoryJournal()), 4)
    naive = _Naive()
    for at, (what, number, alias) in enumerate(actions):
        expected = naive.act(what, number, alias)
        try:
            if what == "move":
                move(registry, number, at, alias)
            elif what == "rollback":
                registry.rollback("people", alias, "main", at=at, **ME)
            elif what == "guard":
                registry.require_approval("people", alias, "main", at=at, required=bool(number), **ME)
            else:
                registry.approve("people", alias, "main", at=at, **ME)
            assert expected
        except UsageError:
            assert not expected
    for at, holders in enumerate(naive.history):
        for alias in ("champion", "challenger"):
            found = registry.holder("people", alias, "main", at + 0.5)
            assert (found and found.version) == holders.get(alias)
    assert registry.state("people").aliases("main") == (naive.history[-1] if naive.history else {})


class _Naive:
    """Holders as lists; a snapshot after each action."""

    def __init__(self) -> None:
        self.lists: dict[str, list[int]] = {}
        self.guarded: set[str] = set()
        self.waits: dict[str, int] = {}
        self.history: list[dict[str, int]] = []

    def act(self, what: str, number: int, alias: str) -> bool:
        good = self._do(what, number, alias)
        self.history.append({a: held[-1] for a, held in sorted(self.lists.items()) if held})
        return good

    def _do(self, what: str, number: int, alias: str) -> bool:
        held = self.lists.get(alias, [])
        if what == "guard":
            (self.guarded.add if number else self.guarded.discard)(alias)
        elif what == "move" and (not held or held[-1] != number):
            if alias in self.guarded:
                self.waits[alias] = number
            else:
                self.waits.pop(alias, None)
                self.lists[alias] = [*held, number]
        elif what == "rollback":
            if len(held) < 2:
                return False
            self.waits.pop(alias, None)
            self.lists[alias] = held[:-1]
        elif what == "approve":
            if alias not in self.waits:
                return False
            self.lists[alias] = [*held, self.waits.pop(alias)]
        return True
