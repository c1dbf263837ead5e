"""Which files have arrived: the pure decision, over any sequence of looks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.server.sources.files import arrived_files
from trikk.server.sources.files.arrived_files import ArrivedFiles, Listed, keys_of

A, B = Listed("a.csv", 10, "1"), Listed("b.csv", 10, "1")


def names(files: ArrivedFiles, listing: list[Listed], at: float) -> list[str]:
    arrivals = files.look(listing, at)
    files.add(arrival.key for arrival in arrivals)
    return [arrival.file.name for arrival in arrivals]


def test_a_file_arrives_when_two_looks_have_seen_it_equal_for_long_enough() -> None:
    files = ArrivedFiles([], settle=3)
    assert [names(files, [A], at) for at in (0, 1, 2, 3, 4)] == [[], [], [], ["a.csv"], []]


def test_a_file_that_grows_arrives_when_it_no_longer_does() -> None:
    files = ArrivedFiles([], settle=3)
    growing = [Listed("a.csv", 10 * at, str(at)) for at in range(20)]
    assert all(names(files, [growing[at]], at) == [] for at in range(20))
    assert [names(files, [growing[-1]], at) for at in (20, 21, 22)] == [[], [], ["a.csv"]]


def test_one_look_is_never_enough_however_late_the_next_one_is() -> None:
    assert names(ArrivedFiles([], settle=0), [A], 1000) == []


def test_what_was_there_does_not_arrive_until_it_is_written_again() -> None:
    files = ArrivedFiles(keys_of([A]), settle=0)
    assert [names(files, [A], at) for at in range(3)] == [[], [], []]
    again = A._replace(stamp="2")  # the same bytes
    assert [names(files, [again], at) for at in range(3, 6)] == [[], ["a.csv"], []]


def test_a_file_that_goes_and_comes_back_as_it_was_arrives_once() -> None:
    files = ArrivedFiles([], settle=0)
    assert [names(files, [A], at) for at in range(2)] == [[], ["a.csv"]]
    assert [names(files, listing, 2 + at) for at, listing in enumerate([[], [A], [A], [A]])] == [[], [], [], []]


def test_what_is_given_and_not_added_is_given_again() -> None:
    files = ArrivedFiles([], settle=0)
    files.look([B, A], 0)
    assert [arrival.file for arrival in files.look([B, A], 1)] == [A, B]
    assert [arrival.file for arrival in files.look([B, A], 2)] == [A, B]


def test_names_that_differ_where_no_name_can_are_told_apart() -> None:
    odd = [Listed("a", 1, "12"), Listed("a", 11, "2"), Listed("a\udcff", 1, "2"), Listed("a\n", 1, "2")]
    assert len(set(keys_of(odd))) == 4


def test_of_what_is_gone_the_oldest_are_forgotten_and_what_is_there_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrived_files, "KEPT", 5)
    listing = [Listed(f"{i}.csv", 1, "1") for i in range(30)]
    files = ArrivedFiles(keys_of(listing), settle=0)
    there = listing[:3]
    files.look(there, 0)
    files.trim()
    assert files.keys() == keys_of([*there, *listing[-5:]])
    files.trim()
    assert len(files) == 8


@given(st.lists(st.sets(st.tuples(st.sampled_from("abc"), st.integers(1, 3)), max_size=5), max_size=30))
def test_each_write_arrives_at_most_once_and_only_if_it_was_stable(looks: list[set[tuple[str, int]]]) -> None:
    files, arrived = ArrivedFiles([], settle=2), []
    for at, look in enumerate(looks):
        listing = [Listed(name, size, "s") for name, size in look]
        for arrival in files.look(listing, at):
            before = [set(looks[at - back]) for back in range(3)]
            assert all((arrival.file.name, arrival.file.size) in earlier for earlier in before)
            arrived.append(arrival.file)
            files.add([arrival.key])
    assert len(arrived) == len(set(arrived))
