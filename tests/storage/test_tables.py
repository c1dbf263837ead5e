from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from trikk.core.errors import TableError, UnknownName, UsageError
from trikk.storage.tables.types import Mode
from trikk.storage.tables.versioned_tables import Tables, Write

ORIGIN = {"run": "r1", "step": "save"}
TWO = pl.DataFrame({"k": [1, 2], "v": ["a", "b"]})


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(str(tmp_path / "tables"))


def put(tables: Tables, identity: str, frame: pl.DataFrame = TWO, mode: Mode = "append", **more: object) -> int:
    write = Write(mode, frame, **more)  # type: ignore[arg-type]
    return tables.write("t", write, identity=identity, origin=ORIGIN).version


def rows(tables: Tables, version: int | None = None) -> list[tuple[object, ...]]:
    return sorted(tables.scan("t", version).collect().rows())


def test_there_is_no_table_before_the_first_write(tables: Tables) -> None:
    assert tables.version("t") is None
    assert tables.names() == []
    with pytest.raises(UnknownName):
        tables.scan("t")
    with pytest.raises(UnknownName):
        tables.view("t", None, [])
    with pytest.raises(UnknownName):
        tables.clean("t", set(), grace=0)


def test_each_write_makes_a_version_and_old_ones_stay_readable(tables: Tables) -> None:
    assert put(tables, "1") == 0
    assert put(tables, "2") == 1
    assert put(tables, "3", mode="overwrite") == 2
    assert put(tables, "4", pl.DataFrame({"k": [2, 3], "v": ["B", "C"]}), "merge", key=("k",)) == 3
    assert rows(tables, 0) == [(1, "a"), (2, "b")]
    assert rows(tables, 1) == [(1, "a"), (1, "a"), (2, "b"), (2, "b")]
    assert rows(tables, 2) == [(1, "a"), (2, "b")]
    assert rows(tables) == rows(tables, 3) == [(1, "a"), (2, "B"), (3, "C")]
    assert tables.version("t") == 3
    assert tables.names() == ["t"]


@pytest.mark.parametrize("version", [-1, 1, 10**9])
def test_a_version_that_does_not_exist_is_an_error(tables: Tables, version: int) -> None:
    put(tables, "1")
    with pytest.raises(TableError, match="no version"):
        tables.scan("t", version)


@pytest.mark.parametrize("mode", ["append", "overwrite", "merge"])
def test_a_write_is_made_once_for_its_identity(tables: Tables, mode: Mode) -> None:
    put(tables, "0", pl.DataFrame({"k": [9], "v": ["z"]}))
    write = Write(mode, TWO, key=("k",) if mode == "merge" else ())
    first = tables.write("t", write, identity="r/s", origin=ORIGIN)
    put(tables, "later")
    again = tables.write("t", write, identity="r/s", origin=ORIGIN)
    assert not first.repeated
    assert again.repeated
    assert (again.version, again.rows, again.inserted, again.updated) == (
        first.version,
        first.rows,
        first.inserted,
        first.updated,
    )
    assert tables.version("t") == 2


def test_a_repeated_write_is_found_even_if_its_rows_would_no_longer_fit(tables: Tables) -> None:
    put(tables, "1")
    put(tables, "2", pl.DataFrame({"other": [1]}), "overwrite", schema_mode="merge")
    assert put(tables, "1") == 0


@pytest.mark.parametrize("mode", ["append", "overwrite", "merge"])
def test_no_rows_make_a_version_too(tables: Tables, mode: Mode) -> None:
    none = Write(mode, TWO.clear(), key=("k",) if mode == "merge" else ())
    made = tables.write("t", none, identity="1", origin=ORIGIN)
    assert (made.version, made.rows) == (0, 0)
    assert tables.scan("t").collect_schema() == TWO.schema
    put(tables, "2")
    assert tables.write("t", none, identity="3", origin=ORIGIN).version == 2
    assert tables.write("t", none, identity="3", origin=ORIGIN).repeated
    assert rows(tables) == ([] if mode == "overwrite" else [(1, "a"), (2, "b")])


def test_a_merge_says_what_was_new_and_what_was_replaced(tables: Tables) -> None:
    put(tables, "1")
    write = Write("merge", pl.DataFrame({"k": [2, 3, 4], "v": ["B", "C", "D"]}), key=("k",))
    made = tables.write("t", write, identity="2", origin=ORIGIN)
    assert (made.rows, made.inserted, made.updated) == (3, 2, 1)


def test_an_append_with_a_key_drops_what_is_there(tables: Tables) -> None:
    put(tables, "1")
    write = Write("append", pl.DataFrame({"k": [3, 2, 3], "v": ["x", "y", "z"]}), key=("k",))
    made = tables.write("t", write, identity="2", origin=ORIGIN)
    assert (made.rows, made.inserted) == (3, 1)
    assert rows(tables) == [(1, "a"), (2, "b"), (3, "x")]
    again = tables.write("t", write, identity="2", origin=ORIGIN)
    assert (again.repeated, again.rows, again.inserted) == (True, 3, 1)


@pytest.mark.parametrize("mode", ["append", "overwrite", "merge"])
def test_rows_that_do_not_fit_are_refused_and_nothing_is_written(tables: Tables, mode: Mode) -> None:
    put(tables, "1")
    frame = pl.DataFrame({"k": ["1"], "extra": [1.5]})
    with pytest.raises(TableError) as error:
        put(tables, "2", frame, mode, key=("k",) if mode == "merge" else ())
    for words in ("'k' is String, the table has Int64", "'v' (String) is missing", "'extra' (Float64)"):
        assert words in error.value.what
    assert "schema_mode='merge'" in (error.value.next or "")
    assert tables.version("t") == 0


def test_columns_may_come_in_any_order(tables: Tables) -> None:
    put(tables, "1")
    put(tables, "2", pl.DataFrame({"v": ["c"], "k": [3]}))
    assert rows(tables) == [(1, "a"), (2, "b"), (3, "c")]


def test_a_wider_schema_is_merged_when_asked_for(tables: Tables) -> None:
    put(tables, "1")
    put(tables, "2", pl.DataFrame({"k": [3], "n": [0.5]}), schema_mode="merge")
    assert tables.scan("t").collect().sort("k").to_dict(as_series=False) == {
        "k": [1, 2, 3], "v": ["a", "b", None], "n": [None, None, 0.5],
    }  # fmt: skip
    with pytest.raises(TableError, match="'k' is String"):
        put(tables, "3", pl.DataFrame({"k": ["x"]}), schema_mode="merge")
    assert tables.scan("t", 0).collect_schema() == TWO.schema


WIDE = pl.DataFrame({"k": [1, 2], "v": ["a", "b"], "n": [1.5, 2.5], "w": [True, None]})


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_a_new_column_that_differs_from_one_that_is_there_in_case_only_is_refused(
    tables: Tables, mode: Mode
) -> None:
    put(tables, "one", pl.DataFrame({"k": [1], "p_leak": [0.5]}))
    key = ("k",) if mode == "merge" else ()
    with pytest.raises(TableError, match="'p_leak' and 'p_Leak' differ only in case"):
        put(tables, "two", pl.DataFrame({"k": [2], "p_Leak": [0.5]}), mode, key=key, schema_mode="merge")
    assert rows(tables) == [(1, 0.5)]


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (pl.DataFrame({"part": [{"a": 1, "A": 2}]}), "'a' and 'A' differ only in case"),
        (pl.DataFrame({"parts": [[{"a": 1, "A": 2}]]}), "'a' and 'A' differ only in case"),
        (pl.DataFrame({"a\0b": [1]}), "no column can be called"),
        (pl.DataFrame({"part": [{"a\0b": 1}]}), "no column can be called"),
    ],
)
def test_names_that_would_damage_the_table_or_end_the_process_are_refused(
    tables: Tables, frame: pl.DataFrame, why: str
) -> None:
    with pytest.raises(TableError, match=why):
        put(tables, "one", frame)
    assert tables.names() == []


def test_columns_that_merged_rows_lack_stay_as_they_are(tables: Tables) -> None:
    put(tables, "1", WIDE)
    correction = pl.DataFrame({"n": [9.5, 3.5], "k": [2, 3], "new": ["x", "y"]})
    write = Write("merge", correction, key=("k",), schema_mode="merge")
    made = tables.write("t", write, identity="2", origin=ORIGIN)
    assert (made.inserted, made.updated) == (1, 1)
    expected = [(1, "a", 1.5, True, None), (2, "b", 9.5, None, "x"), (3, None, 3.5, None, "y")]
    assert tables.scan("t").collect_schema().names() == ["k", "v", "n", "w", "new"]
    assert rows(tables) == expected
    assert sorted(tables.view("t", 0, [write]).collect().rows()) == expected
    put(
        tables,
        "3",
        pl.DataFrame({"k": [2], "v": [None]}, schema=TWO.schema),
        "merge",
        key=("k",),
        schema_mode="merge",
    )
    assert rows(tables)[1] == (2, None, 9.5, None, "x")


def test_only_the_key_merged_changes_nothing_and_adds_what_is_new(tables: Tables) -> None:
    put(tables, "1", WIDE)
    put(tables, "2", pl.DataFrame({"k": [2, 3]}), "merge", key=("k",), schema_mode="merge")
    assert rows(tables) == [*WIDE.rows(), (3, None, None, None)]


def test_a_strict_merge_says_that_columns_which_are_lacking_would_stay(tables: Tables) -> None:
    put(tables, "1", WIDE)
    with pytest.raises(TableError, match=r"'v' .*'w' .* is missing") as error:
        put(tables, "2", WIDE.select("k", "n"), "merge", key=("k",))
    assert "stays as it is" in (error.value.next or "")


def test_an_overwrite_may_bring_a_schema_of_its_own(tables: Tables) -> None:
    put(tables, "1")
    put(tables, "2", pl.DataFrame({"k": ["x"]}), "overwrite", schema_mode="merge")
    assert tables.scan("t").collect().to_dict(as_series=False) == {"k": ["x"]}
    assert rows(tables, 0) == [(1, "a"), (2, "b")]


@pytest.mark.parametrize(
    ("frame", "key", "words"),
    [
        (pl.DataFrame({"k": [1, 1, 2], "v": ["a", "b", "c"]}), ("k",), "{'k': 1}"),
        (pl.DataFrame({"k": [None, 2], "v": ["a", "b"]}, schema=TWO.schema), ("k",), "{'k': None}"),
        (pl.DataFrame({"k": [1, 2], "v": ["a", "b"]}), ("nope",), "'nope'"),
    ],
)
def test_a_merge_needs_a_key_that_tells_rows_apart(
    tables: Tables, frame: pl.DataFrame, key: tuple[str, ...], words: str
) -> None:
    put(tables, "1")
    with pytest.raises(TableError) as error:
        put(tables, "2", frame, "merge", key=key)
    assert words in error.value.what
    assert tables.version("t") == 0


def test_a_merge_into_rows_that_share_a_key_is_refused(tables: Tables) -> None:
    put(tables, "1")
    put(tables, "2")
    with pytest.raises(TableError, match="several rows"):
        put(tables, "3", pl.DataFrame({"k": [2], "v": ["B"]}), "merge", key=("k",))
    put(tables, "4", pl.DataFrame({"k": [7], "v": ["G"]}), "merge", key=("k",))
    assert tables.version("t") == 2


def test_fractions_are_no_keys(tables: Tables) -> None:
    with pytest.raises(TableError, match="Float64"):
        put(tables, "1", pl.DataFrame({"x": [0.5]}), "merge", key=("x",))


def test_odd_column_names_can_be_keys(tables: Tables) -> None:
    frame = pl.DataFrame({'a "b".c': [1, 2], "Été's": ["x", "y"], "select": [1, 2]})
    put(tables, "1", frame)
    put(
        tables,
        "2",
        frame.tail(1).with_columns(pl.lit(9, pl.Int64).alias("select")),
        "merge",
        key=tuple(frame.columns[:2]),
    )
    assert sorted(tables.scan("t").collect()["select"]) == [1, 9]


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".locks", "a b", "x" * 300])
def test_a_table_has_a_name_that_is_no_path(tables: Tables, name: str) -> None:
    for act in (lambda: tables.version(name), lambda: tables.scan(name), lambda: tables.view(name, None, [])):
        with pytest.raises(UsageError):
            act()
    with pytest.raises(UsageError):
        tables.write(name, Write("append", TWO), identity="1", origin=ORIGIN)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "upsert"},
        {"mode": "merge"},
        {"mode": "overwrite", "key": ("k",)},
        {"mode": "merge", "key": ("k", "k")},
        {"mode": "append", "schema_mode": "loose"},
    ],
)
def test_a_write_is_checked_when_it_is_made(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Write(frame=TWO, **wrong)  # type: ignore[arg-type]


def test_the_log_of_a_new_table_is_never_cleaned_up(tables: Tables, tmp_path: Path) -> None:
    put(tables, "1")
    configuration = DeltaTable(tmp_path / "tables/t").metadata().configuration
    assert configuration["delta.enableExpiredLogCleanup"] == "false"
    days = int(configuration["delta.logRetentionDuration"].split()[1])
    assert days > 3650


def test_old_versions_survive_checkpoints_even_if_their_log_is_old(tables: Tables, tmp_path: Path) -> None:
    for n in range(60):
        put(tables, str(n))
    for entry in (tmp_path / "tables/t/_delta_log").iterdir():
        os.utime(entry, (1, 1))
    for n in range(60, 110):
        put(tables, str(n))
    assert list((tmp_path / "tables/t/_delta_log").glob("*.checkpoint*"))
    fresh = Tables(str(tmp_path / "tables"))
    assert [fresh.scan("t", v).collect().height for v in (0, 30, 59, 109)] == [2, 62, 120, 220]
    assert fresh.write("t", Write("append", TWO), identity="3", origin=ORIGIN).version == 3


def test_rows_of_a_version_come_in_the_same_order_whatever_happens_later(tables: Tables, tmp_path: Path) -> None:
    for n in range(30):
        put(tables, str(n), pl.DataFrame({"k": [n, -n], "v": ["x", "y"]}))
    before = tables.scan("t", 29).collect()
    DeltaTable(tmp_path / "tables/t", version=29).create_checkpoint()
    for n in range(30, 60):
        put(tables, str(n), pl.DataFrame({"k": [n], "v": ["x"]}), "merge", key=("k",))
    assert tables.scan("t", 29).collect().equals(before)


def test_rows_come_in_the_order_of_their_commits(tables: Tables, tmp_path: Path) -> None:
    for n in range(7):
        put(tables, str(n), pl.DataFrame({"k": [n, n], "v": ["x", "y"]}))
    DeltaTable(tmp_path / "tables/t").create_checkpoint()
    table = DeltaTable(tmp_path / "tables/t")
    many = pl.DataFrame({"k": range(7, 2007), "v": ["x"] * 2000})
    write_deltalake(table, many, mode="append", target_file_size=1)
    assert len(table.file_uris()) > 8
    put(tables, "8", pl.DataFrame({"k": [2007], "v": ["y"]}))
    put(tables, "9", pl.DataFrame({"k": [2007], "v": ["z"]}), "merge", key=("k",))
    found = tables.scan("t").collect()
    assert found["k"].to_list() == [n for n in range(7) for _ in "xy"] + list(range(7, 2008))
    assert found["v"].to_list()[-1] == "z"
    assert tables.scan("t", 5).collect()["k"].to_list() == [n for n in range(6) for _ in "xy"]
    for n in (0, 3, 6, 2007):
        assert set(tables.scan("t").filter(pl.col("k") == n).collect()["k"]) == {n}
    assert [f.least for f in tables.ranges("t", "k")][:8] == list(range(8))


def test_a_table_says_what_it_holds_and_who_wrote_it(tables: Tables, tmp_path: Path) -> None:
    put(tables, "r1/save")
    write_deltalake(tmp_path / "tables/t", TWO, mode="append")
    put(tables, "r1/more", pl.DataFrame({"k": [2], "v": ["B"]}), "overwrite")
    info = tables.describe("t")
    assert (info.version, info.rows, info.files) == (2, 1, 1)
    assert info.columns == {"k": "Int64", "v": "String"}
    assert info.bytes > 0
    assert [(w.version, w.mode, w.rows, w.run, w.step) for w in info.history] == [
        (2, "overwrite", 1, "r1", "save"),
        (1, "write", 2, None, None),
        (0, "append", 2, "r1", "save"),
    ]
    assert info.written == info.history[0].at
    assert tables.describe("t", 1).rows == 4
    assert len(tables.describe("t", history=1).history) == 1


def test_versions_say_what_each_has_changed_in_pages_from_the_newest(tables: Tables) -> None:
    put(tables, "r1/a")
    put(tables, "r1/b", pl.DataFrame({"k": [3], "n": [0.5]}), schema_mode="merge")
    put(tables, "r1/c", schema_mode="merge")
    put(tables, "r1/d", pl.DataFrame({"k": ["x"]}), "overwrite", schema_mode="merge")
    whole = tables.versions("t", 9)
    assert [(v.version, v.mode, v.run, v.added_bytes > 0, v.removed_files) for v in whole] == [
        (3, "overwrite", "r1", True, 3), (2, "append", "r1", True, 0), (1, "append", "r1", True, 0),
        (0, "append", "r1", True, 0),
    ]  # fmt: skip
    changed = [[(c.column, c.before, c.after) for c in v.columns] for v in whole]
    assert changed == [
        [("k", "Int64", "String"), ("v", "String", None), ("n", "Float64", None)],
        [],
        [("n", None, "Float64")],
        [("k", None, "Int64"), ("v", None, "String")],
    ]
    # A page that begins in the middle asks the table which columns it had before.
    assert [tables.versions("t", 1, before) for before in (None, 3, 2, 1, 0)] == [[v] for v in whole] + [[]]
    assert [write.version for write in tables.describe("t").history] == [v.version for v in whole]


def entry(tmp_path: Path, version: int) -> Path:
    return tmp_path / "tables/t/_delta_log" / f"{version:020d}.json"


@pytest.mark.parametrize("body", [b"", b"\n", b'{"add": {', b"\xff\xfe\x00", b"[1]", None])
@pytest.mark.parametrize("version", [1, 2])
def test_a_damaged_log_is_named_and_never_misread(
    tables: Tables, tmp_path: Path, version: int, body: bytes | None
) -> None:
    for n in range(3):
        put(tables, str(n))
    if body is None:
        entry(tmp_path, version).unlink()
    else:
        entry(tmp_path, version).write_bytes(body)
    for act in (lambda: tables.scan("t"), lambda: put(tables, "new"), lambda: tables.describe("t")):
        with pytest.raises(TableError) as error:
            act()
        assert entry(tmp_path, version).name in error.value.what
        assert error.value.next


def test_a_missing_or_short_data_file_is_named(tables: Tables, tmp_path: Path) -> None:
    put(tables, "1")
    put(tables, "2")
    file = min((tmp_path / "tables/t").glob("*.parquet"))
    whole = file.read_bytes()
    for damage in (lambda: file.write_bytes(whole[:-10]), file.unlink):
        damage()
        with pytest.raises(TableError) as error:
            tables.scan("t")
        assert file.name in error.value.what
        assert error.value.next
        with pytest.raises(TableError, match=file.name):
            tables.clean("t", set(), grace=0) if not file.exists() else tables.scan("t", 1)


def test_looking_up_a_version_does_not_load_the_engine(tables: Tables, tmp_path: Path) -> None:
    put(tables, "1")
    code = (
        "import sys; from trikk.storage.tables.versioned_tables import Tables; "
        f"assert Tables({str(tmp_path / 'tables')!r}).version('t') == 0; "
        "assert not {'deltalake', 'polars'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_other_programs_read_the_table_as_it_is(tables: Tables, tmp_path: Path) -> None:
    put(tables, "1")
    assert pl.read_delta(str(tmp_path / "tables/t")).sort("k").equals(TWO)
    first = entry(tmp_path, 0).read_text().splitlines()
    info = next(json.loads(line)["commitInfo"] for line in first if "commitInfo" in line)
    assert (info["trikk.identity"], info["trikk.run"], info["trikk.step"]) == ("1", "r1", "save")


writes = st.lists(
    st.tuples(
        st.sampled_from(["append", "keyed", "overwrite", "merge"]),
        st.lists(st.tuples(st.integers(0, 6), st.sampled_from("abc")), max_size=4),
        st.booleans(),
    ),
    min_size=1,
    max_size=5,
)


def a_write(kind: str, values: list[tuple[int, str]], wide: bool, unique: bool) -> Write:
    frame = pl.DataFrame(values, schema={"k": pl.Int64, "v": pl.String}, orient="row")
    if unique or kind == "merge":
        frame = frame.unique("k", keep="first", maintain_order=True)
    if wide:
        frame = frame.with_columns(w=pl.col("k").cast(pl.UInt16))
    elif kind == "merge":
        frame = frame.drop("v")
    mode: Mode = "append" if kind == "keyed" else kind  # type: ignore[assignment]
    return Write(mode, frame, ("k",) if kind in ("keyed", "merge") else (), schema_mode="merge")


@settings(max_examples=25, deadline=None)
@given(base=writes, own=writes, first=st.booleans())
def test_a_view_reads_as_the_table_would_after_the_same_writes(
    tmp_path_factory: pytest.TempPathFactory, base: list[tuple[str, list[tuple[int, str]], bool]],
    own: list[tuple[str, list[tuple[int, str]], bool]], first: bool,
) -> None:  # fmt: skip
    tables = Tables(str(tmp_path_factory.mktemp("tables")))
    pinned = None
    made: list[Write] = []
    state: pl.DataFrame | None = None
    for n, (kind, values, wide) in enumerate([*([] if first else base), *own]):
        write = a_write(kind, values, wide, unique=False)
        if kind == "merge" and state is not None and state.filter(pl.col("k").is_duplicated()).height:
            write = Write("overwrite", write.frame, schema_mode="merge")
        own_write = first or n >= len(base)
        if state is None and kind == "merge":
            write = Write("append", write.frame.with_columns(v=pl.lit("a")), schema_mode="merge")
        version = tables.write("t", write, identity=str(n), origin=ORIGIN).version
        state = tables.scan("t").collect()
        if own_write:
            made.append(write)
            view = tables.view("t", pinned, made)
            assert view.collect_schema() == state.schema
            assert view.collect().sort(pl.all()).equals(state.sort(pl.all()))
            assert view.collect().equals(view.collect())
        else:
            pinned = version


def test_a_view_does_not_see_what_others_write(tables: Tables) -> None:
    put(tables, "1")
    own = Write("append", pl.DataFrame({"k": [3], "v": ["c"]}))
    put(tables, "2", pl.DataFrame({"k": [8], "v": ["others"]}))
    assert tables.view("t", 0, [own]).collect().rows() == [(1, "a"), (2, "b"), (3, "c")]
    assert tables.view("t", None, [own]).collect().rows() == [(3, "c")]
    assert tables.version("t") == 1


def test_a_view_refuses_what_the_table_would_refuse(tables: Tables) -> None:
    put(tables, "1")
    with pytest.raises(TableError, match="extra"):
        tables.view("t", 0, [Write("append", TWO.with_columns(extra=1))])
    with pytest.raises(TableError, match="'nope'"):
        tables.view("t", 0, [Write("merge", TWO, key=("nope",))])


def test_a_folder_may_be_called_anything_that_has_no_percent_sign(tmp_path: Path) -> None:
    tables = Tables(str(tmp_path / "a b ü'#?"))
    rows = pl.DataFrame({"k": [1, 2], "v": ["a", "b"]})
    tables.write("t", Write("append", rows), identity="1", origin={})
    tables.write("t", Write("merge", rows.with_columns(v=pl.lit("c")), key=("k",)), identity="2", origin={})
    tables.write("t", Write("append", rows.with_columns(k=pl.col("k") + 5), key=("k",)), identity="3", origin={})
    assert sorted(tables.scan("t").collect().rows()) == [(1, "c"), (2, "c"), (6, "a"), (7, "b")]
    assert tables.scan("t", 0).collect().height == 2
    assert tables.clean("t", {0}, grace=0.0).removed is not None
    with pytest.raises(UsageError):
        Tables(str(tmp_path / "50%"))


@pytest.mark.parametrize("mode", ["append", "merge", "overwrite"])
def test_a_full_disk_is_said_and_the_write_is_made_when_there_is_room(tmp_path: Path, mode: Mode) -> None:
    tables = Tables(str(tmp_path))
    tables.write("t", Write("append", pl.DataFrame({"k": [0], "v": ["old"]})), identity="1", origin={})
    frame = pl.DataFrame({"k": range(2000), "v": [os.urandom(20).hex() for _ in range(2000)]})
    write = Write(mode, frame, ("k",) if mode == "merge" else ())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(TableError, match="the disk is full") as error:
            tables.write("t", write, identity="2", origin={})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert error.value.next is not None
    assert "make room" in error.value.next
    assert tables.scan("t").collect().height == 1
    assert not tables.write("t", write, identity="2", origin={}).repeated
    assert tables.scan("t").collect().height == 2000 + (mode == "append")
