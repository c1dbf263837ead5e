from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from trikk.core.errors import TrikkError
from trikk.pipeline.parameters.trigger_event import Event
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.server.sources.source_memory import Memory
from trikk.server.sources.table_source import TableSource
from trikk.storage.tables.versioned_tables import Tables, Write
from trikk.testing import ManualClock


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(str(tmp_path / "tables"))


def write(tables: Tables, number: int = 1) -> None:
    for _ in range(number):
        identity = f"w{tables.version('counts')}"
        tables.write("counts", Write("append", pl.DataFrame({"a": [1]})), identity=identity, origin={})


def source(tables: Tables, journal: MemoryJournal, adoption: str = "1") -> TableSource:
    made = TableSource("t", "counts", tables, Memory(journal, "t", adoption), ManualClock())
    made.look()
    return made


def versions(events: list[Event]) -> list[tuple[dict[str, int], dict[str, int]]]:
    return [(event.tables_before, event.tables) for event in events]


def take(source: TableSource) -> list[tuple[dict[str, int], dict[str, int]]]:
    events = source.look()
    source.settle(events)
    return versions(events)


def test_several_versions_between_two_looks_are_one_event(tables: Tables) -> None:
    write(tables, 2)
    looks = source(tables, MemoryJournal())
    assert take(looks) == []
    write(tables)
    assert take(looks) == [({"counts": 1}, {"counts": 2})]
    write(tables, 3)
    assert take(looks) == [({"counts": 2}, {"counts": 5})]
    assert take(looks) == []


def test_the_first_version_of_a_new_table_is_an_event(tables: Tables) -> None:
    looks = source(tables, MemoryJournal())
    write(tables)
    assert take(looks) == [({}, {"counts": 0})]


def test_what_happened_while_no_server_was_there_is_an_event_after_the_restart(tables: Tables) -> None:
    write(tables)
    journal = MemoryJournal()
    source(tables, journal)
    write(tables, 2)
    assert take(source(tables, journal)) == [({"counts": 0}, {"counts": 2})]


def test_an_event_keeps_its_range_and_its_identity_until_it_is_settled(tables: Tables) -> None:
    write(tables)
    journal = MemoryJournal()
    killed = source(tables, journal)
    write(tables)
    [given] = killed.look()
    write(tables)  # after it was given, before it was settled
    following = source(tables, journal)
    assert following.look() == [given]
    following.settle([given])
    assert take(following) == [({"counts": 1}, {"counts": 2})]


def test_servers_that_look_at_once_give_one_identity(tables: Tables) -> None:
    write(tables)
    journal = MemoryJournal()
    first, second = source(tables, journal), source(tables, journal)
    write(tables)
    [one] = first.look()
    write(tables)
    [another] = second.look()
    assert one == another
    first.settle([one])
    second.settle([another])
    assert [event.id for event in (*first.look(), *second.look())] == ["counts/2", "counts/2"]


def test_another_table_by_the_same_name_begins_anew(tables: Tables, tmp_path: Path) -> None:
    write(tables, 2)
    looks = source(tables, MemoryJournal())
    write(tables)
    [first] = looks.look()
    looks.settle([first])
    anew = Tables(str(tmp_path / "anew"))
    write(anew)
    looks._tables = anew
    [second] = looks.look()
    assert versions([second]) == [({}, {"counts": 0})]
    looks.settle([second])
    write(anew, 2)
    [third] = looks.look()
    assert versions([third]) == [({"counts": 0}, {"counts": 2})]
    assert len({first.id, second.id, third.id}) == 3


def test_a_trigger_that_is_declared_anew_begins_with_what_is_there(tables: Tables) -> None:
    journal = MemoryJournal()
    source(tables, journal)
    write(tables)
    assert take(source(tables, journal, adoption="2")) == []


def test_a_damaged_table_is_said(tables: Tables, tmp_path: Path) -> None:
    write(tables, 2)
    looks = source(tables, MemoryJournal())
    (tmp_path / "tables/counts/_delta_log/00000000000000000001.json").write_text("{")
    with pytest.raises(TrikkError):
        looks.look()
