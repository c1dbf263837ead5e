"""The promises of tables that a pipeline's test relies on, of the real ones and of those in memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trikk.core.errors import TableError, UnknownName, UsageError
from trikk.storage.tables.table_write import Write
from trikk.storage.tables.types import Mode
from trikk.storage.tables.versioned_tables import Tables
from trikk.testing import MemoryTables

TWO = pl.DataFrame({"k": [1, 2], "v": ["a", "b"]})


@pytest.fixture(params=["memory", "folder"])
def tables(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return MemoryTables() if request.param == "memory" else Tables(str(tmp_path))


def put(tables: Any, identity: str, frame: pl.DataFrame = TWO, mode: Mode = "append", **more: Any) -> Any:
    return tables.write("t", Write(mode, frame, **more), identity=identity, origin={})


def rows(tables: Any, version: int | None = None) -> list[tuple[Any, ...]]:
    return sorted(tables.scan("t", version).collect().rows())


def test_nothing_is_there_before_the_first_write(tables: Any) -> None:
    assert (tables.names(), tables.version("t")) == ([], None)
    for read in (lambda: tables.scan("t"), lambda: tables.view("t", None, [])):
        with pytest.raises(UnknownName):
            read()


def test_each_write_makes_a_version_that_stays(tables: Any) -> None:
    assert put(tables, "1").version == 0
    assert put(tables, "2").version == 1
    assert put(tables, "3", mode="overwrite").version == 2
    assert put(tables, "4", pl.DataFrame({"k": [2, 3], "v": ["B", "C"]}), "merge", key=("k",)).version == 3
    assert (tables.names(), tables.version("t")) == (["t"], 3)
    assert [len(rows(tables, v)) for v in range(4)] == [2, 4, 2, 3]
    assert rows(tables) == [(1, "a"), (2, "B"), (3, "C")]
    for missing in (-1, 4):
        with pytest.raises(TableError, match="no version"):
            tables.scan("t", missing)


def test_a_write_is_made_once_for_its_identity(tables: Any) -> None:
    first = put(tables, "1")
    put(tables, "2", pl.DataFrame({"other": [1]}), "overwrite", schema_mode="merge")
    again = put(tables, "1")
    assert not first.repeated
    assert again.repeated
    assert (again.version, again.rows) == (first.version, first.rows)
    assert tables.version("t") == 1


def test_writes_say_what_they_did(tables: Any) -> None:
    def said(made: Any) -> tuple[Any, ...]:
        return made.rows, made.inserted, made.updated

    assert said(put(tables, "1")) == (2, 2, 0)
    assert said(put(tables, "2", pl.DataFrame({"k": [2, 3, 4], "v": ["B"] * 3}), "merge", key=("k",))) == (3, 2, 1)
    assert said(put(tables, "3", pl.DataFrame({"k": [4, 5, 5], "v": ["x"] * 3}), key=("k",))) == (3, 1, 0)
    assert said(put(tables, "4", mode="overwrite")) == (2, None, None)
    assert said(put(tables, "5", TWO.clear(), "merge", key=("k",))) == (0, 0, 0)
    assert tables.version("t") == 4


@pytest.mark.parametrize(
    ("frame", "more"),
    [
        (pl.DataFrame({"k": [1]}), {}),
        (pl.DataFrame({"k": ["1"], "v": ["a"]}), {}),
        (TWO.with_columns(x=1), {}),
        (TWO.with_columns(x=1), {"mode": "overwrite"}),
        (pl.DataFrame({"k": [7, 7], "v": ["a", "b"]}), {"mode": "merge", "key": ("k",)}),
        (pl.DataFrame({"k": [None, 7], "v": ["a", "b"]}), {"mode": "merge", "key": ("k",)}),
        (TWO, {"mode": "merge", "key": ("nowhere",)}),
        (pl.DataFrame({"k": [9], "v": ["a"]}), {"mode": "merge", "key": ("k",)}),
        (pl.DataFrame({"k": [None], "v": ["a"]}, schema_overrides={"k": pl.Int64}), {"key": ("k",)}),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_and_changes_nothing(tables: Any, frame: pl.DataFrame, more: Any) -> None:
    put(tables, "1", pl.DataFrame({"k": [9, 9], "v": ["x", "y"]}))
    with pytest.raises(TableError):
        put(tables, "2", frame, **more)
    assert rows(tables) == [(9, "x"), (9, "y")]
    assert tables.version("t") == 0


def test_a_refused_first_write_makes_no_table(tables: Any) -> None:
    with pytest.raises(TableError):
        put(tables, "1", pl.DataFrame({"k": [1, 1]}), "merge", key=("k",))
    assert (tables.names(), tables.version("t")) == ([], None)


def test_hostile_names_and_no_identity_are_refused(tables: Any) -> None:
    for name in ("../x", "", "a\0b", "x" * 300):
        with pytest.raises(UsageError):
            tables.write(name, Write("append", TWO), identity="1", origin={})
        with pytest.raises(UsageError):
            tables.version(name)
    with pytest.raises(UsageError):
        put(tables, "")


def test_a_view_lays_writes_over_a_pinned_version(tables: Any) -> None:
    put(tables, "1")
    put(tables, "2")
    merged = tables.view("t", 0, [Write("merge", pl.DataFrame({"k": [2], "v": ["B"]}), key=("k",))])
    assert sorted(merged.collect().rows()) == [(1, "a"), (2, "B")]
    assert tables.view("t", None, [Write("append", TWO)]).collect().rows() == TWO.rows()
    assert tables.version("t") == 1


frames = st.lists(st.tuples(st.integers(0, 4), st.sampled_from("abc")), max_size=4).map(
    lambda pairs: pl.DataFrame({"k": [k for k, _ in pairs], "v": [v for _, v in pairs]}, TWO.schema)
)
writes = st.one_of(
    st.builds(lambda f: Write("append", f), frames),
    st.builds(lambda f: Write("append", f, key=("k",)), frames),
    st.builds(lambda f: Write("overwrite", f), frames),
    st.builds(lambda f: Write("merge", f.unique(subset="k", keep="first"), key=("k",)), frames),
)


@given(st.lists(writes, max_size=4))
@settings(max_examples=15, deadline=None)
def test_both_kinds_come_to_the_same(tmp_path_factory: pytest.TempPathFactory, made: list[Write]) -> None:
    real, memory = Tables(str(tmp_path_factory.mktemp("tables"))), MemoryTables()
    for number, write in enumerate(made):
        results = []
        for tables in (real, memory):
            try:
                results.append(tables.write("t", write, identity=str(number), origin={}))
            except TableError as error:
                results.append(type(error))
        assert results[0] == results[1]
        if real.version("t") is not None:
            assert rows(real) == rows(memory)


HOURS = pl.DataFrame({"at": [datetime(2020, 1, 1, 5, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC)], "k": [1, 2]})


def test_the_ranges_of_what_was_added_are_known_without_the_rest(tables: Any) -> None:
    day = timedelta(days=1)
    for number in range(3):
        put(tables, str(number), HOURS.with_columns(pl.col("at") + number * day, pl.col("k") + 10 * number))
    found = tables.added_ranges("t", "at", 0, 2)
    assert [(f.least, f.greatest) for f in found] == [
        (HOURS["at"][0] + n * day, HOURS["at"][1] + n * day) for n in (1, 2)
    ]
    assert {f.path for f in found} == {f.path for f in tables.ranges("t", "at", 2)} - {
        f.path for f in tables.ranges("t", "at", 0)
    }
    assert [f.least for f in tables.added_ranges("t", "k", 1, 2)] == [21]
    assert [f.least for f in tables.added_ranges("t", "none", 1, 2)] == [None]
    assert tables.added_ranges("t", "at", 2, 2) == []


def test_where_rows_were_replaced_nothing_is_said_to_have_been_added(tables: Any) -> None:
    put(tables, "1", HOURS)
    put(tables, "2", HOURS.with_columns(k=pl.lit(3, pl.Int64)).head(1), "merge", key=("k",))
    put(tables, "3", HOURS.head(1), "merge", key=("k",))
    put(tables, "4", HOURS, "overwrite")
    assert len(tables.added_ranges("t", "at", 0, 1)) == 1
    assert tables.added_ranges("t", "at", 0, 2) is None
    assert tables.added_ranges("t", "at", 2, 3) is None
    kept = {f.path for f in tables.ranges("t", "at", 1)} & {f.path for f in tables.ranges("t", "at", 2)}
    assert len(kept) == 1


def test_the_rows_of_files_can_be_had_whichever_versions_they_belong_to(tables: Any) -> None:
    put(tables, "1", HOURS)
    wider = HOURS.head(1).with_columns(v=pl.lit("x"))
    merged = put(tables, "2", wider, "merge", key=("k",), schema_mode="merge").version
    paths = [{f.path for f in tables.ranges("t", "at", version)} for version in (0, merged)]
    gone, came = (tables.rows_in("t", [*some]).collect() for some in (paths[0] - paths[1], paths[1] - paths[0]))
    assert gone.sort("k").equals(HOURS.sort("k"))
    assert came.sort("k")["v"].to_list() == ["x", None]


def test_rows_come_in_the_order_in_which_they_were_written(tables: Any) -> None:
    for number in range(4):
        put(tables, str(number), pl.DataFrame({"k": [number, number], "v": ["x", "y"]}))
    put(tables, "4", pl.DataFrame({"k": [9], "v": ["z"]}), "merge", key=("k",))
    assert tables.scan("t").collect().rows() == [(n, v) for n in range(4) for v in "xy"] + [(9, "z")]


def test_a_column_is_ranged_however_many_there_are_before_it(tables: Any) -> None:
    wide = pl.DataFrame({f"c{number}": [1, 2] for number in range(40)}).with_columns(HOURS["at"])
    put(tables, "1", wide)
    put(tables, "2", wide.with_columns(pl.lit(None, pl.Datetime("us", "UTC")).alias("at")))
    for found in (tables.ranges("t", "at", 1), tables.ranges("t", "at", 0) + tables.added_ranges("t", "at", 0, 1)):
        assert [(f.least, f.greatest) for f in found] == [(HOURS["at"][0], HOURS["at"][1]), (None, None)]
