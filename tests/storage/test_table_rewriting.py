from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable, Field, Schema, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.storage.test_table_processes import WRITER, race, start

from trikk.core.errors import TableError
from trikk.storage.tables import rewriting
from trikk.storage.tables.rewriting import is_plain, statistics
from trikk.storage.tables.versioned_tables import Tables, Write

FEW = "import trikk.storage.tables.rewriting as r; r.MANY = 4; r._ALWAYS = 3\n"
"""Lets a process put 4 small files together, so that it happens often."""


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(str(tmp_path))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewriting, "MANY", 4)
    monkeypatch.setattr(rewriting, "_ALWAYS", 3)


def put(tables: Tables, n: int, frame: pl.DataFrame, mode: Any = "append", key: tuple[str, ...] = ()) -> int:
    return tables.write("t", Write(mode, frame, key), identity=str(n), origin={}).version


def row(n: int, v: str = "x") -> pl.DataFrame:
    return pl.DataFrame({"k": [n], "v": [v]})


def entry(tmp_path: Path, version: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / f"t/_delta_log/{version:020d}.json").read_text().splitlines()]


def test_many_small_files_stay_few_and_every_version_reads_as_it_was(tables: Tables, tmp_path: Path) -> None:
    most = 0
    for n in range(300):
        put(tables, n, row(n))
        most = max(most, len(DeltaTable(tmp_path / "t").file_uris())) if n % 7 == 0 or n > 280 else most
    assert 32 < most <= rewriting.MANY + 8
    assert tables.version("t") == 299  # what puts files together is no version of its own
    for version in (0, 46, 47, 48, 49, 150, 299):
        assert tables.scan("t", version).collect()["k"].to_list() == list(range(version + 1))
    assert [w.mode for w in tables.describe("t", history=999).history] == ["append"] * 300


def test_a_row_is_written_anew_as_often_as_the_table_doubles(tables: Tables, tmp_path: Path) -> None:
    for n in range(400):
        put(tables, n, row(n))
    again = [
        json.loads(a["add"]["stats"])["numRecords"]
        for version in range(400)
        for a in entry(tmp_path, version)
        if "add" in a and not a["add"]["dataChange"]
    ]
    assert 400 <= sum(again) <= 400 * 6
    assert len(again) <= 400 / 16


def test_large_files_stay_as_they_are(
    tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: None
) -> None:
    monkeypatch.setattr(rewriting, "SMALL", 5_000)
    large = pl.DataFrame({"k": range(3000), "v": [os.urandom(8).hex() for _ in range(3000)]})
    put(tables, 0, large)
    (path,) = DeltaTable(tmp_path / "t").file_uris()
    for n in range(1, 20):
        put(tables, n, row(-n))
    files = DeltaTable(tmp_path / "t").file_uris()
    assert path in files
    assert len(files) <= 6
    assert tables.scan("t").collect()["k"].to_list() == [*range(3000), *range(-1, -20, -1)]


writes = st.lists(
    st.tuples(
        st.sampled_from(["append", "append", "keyed", "merge", "merge", "overwrite"]),
        st.lists(st.tuples(st.integers(0, 30), st.sampled_from([None, "a", "b" * 40])), max_size=4),
        st.sampled_from(["all", "lacking", "new"]),
    ),
    min_size=1,
    max_size=14,
)


@settings(max_examples=40, deadline=None)
@given(writes)
def test_any_writes_come_to_what_they_would_by_hand(
    tmp_path_factory: pytest.TempPathFactory, sequence: list[tuple[str, list[tuple[int, str | None]], str]]
) -> None:
    tables = Tables(str(tmp_path_factory.mktemp("tables")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rewriting, "MANY", 3)
        patch.setattr(rewriting, "_ALWAYS", 2)
        put(tables, 0, row(-1))
        state: list[dict[str, Any]] = [{"k": -1, "v": "x"}]
        columns = ["k", "v"]
        versions = {0: list(state)}
        for n, (kind, values, shape) in enumerate(sequence, start=1):
            unique = len({k for k, _ in values}) == len(values)
            if kind in ("merge", "keyed") and (not unique or len({r["k"] for r in state}) < len(state)):
                kind = "append"
            given_rows = [{"k": k, "v": v, "w": v} for k, v in values]
            names = {"all": ["k", "v"], "lacking": ["k"], "new": ["k", "v", "w"]}[shape]
            given_rows = [{name: r[name] for name in names} for r in given_rows]
            schema = {name: pl.Int64 if name == "k" else pl.String for name in names}
            frame = pl.DataFrame(given_rows, schema=schema)
            mode: Any = "append" if kind == "keyed" else kind
            write = Write(mode, frame, ("k",) if kind in ("keyed", "merge") else (), schema_mode="merge")
            version = tables.write("t", write, identity=str(n), origin={}).version
            if kind == "overwrite":
                columns, state = names, given_rows
            else:
                columns = columns + [name for name in names if name not in columns]
                there = {r["k"]: r for r in state}
                if kind == "merge":
                    merged = [{**{c: there.get(r["k"], {}).get(c) for c in columns}, **r} for r in given_rows]
                    state = [r for r in state if r["k"] not in {m["k"] for m in merged}] + merged
                else:
                    state = state + [r for r in given_rows if kind == "append" or r["k"] not in there]
            versions[version] = [{c: r.get(c) for c in columns} for r in state]
    for version, rows in versions.items():
        kept = tables.scan("t", version).collect()
        assert sorted(map(repr, kept.to_dicts())) == sorted(map(repr, rows))
        merges = any(kind == "merge" for kind, _, _ in sequence)
        if not merges:  # a merge moves what it leaves of a file
            assert kept["k"].to_list() == [r["k"] for r in rows]


def test_a_merge_writes_only_the_files_that_hold_its_keys(
    tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(20):
        put(tables, n, pl.DataFrame({"k": range(n * 10, n * 10 + 10), "v": ["x"] * 10}))
    read: list[int] = []
    scan = rewriting.Rewriting._scan

    def counted(self: rewriting.Rewriting, files: pl.DataFrame) -> pl.LazyFrame:
        read.append(files.height)
        return scan(self, files)

    monkeypatch.setattr(rewriting.Rewriting, "_scan", counted)
    merge = Write("merge", pl.DataFrame({"k": [35, 1000, 139], "v": ["A", "B", "C"]}), ("k",))
    committed = tables.write("t", merge, identity="m", origin={})
    assert (committed.inserted, committed.updated) == (1, 2)
    assert read == [2, 2]  # their keys, then they themselves
    actions = entry(tmp_path, 20)
    assert len([a for a in actions if "remove" in a]) == 2
    left, new = [a["add"] for a in actions if "add" in a]
    assert (json.loads(left["stats"])["numRecords"], left["dataChange"]) == (18, False)
    assert (json.loads(new["stats"])["numRecords"], new["dataChange"]) == (3, True)
    assert tables.scan("t").collect().height == 201


def test_a_repeated_merge_says_what_the_first_came_to(tables: Tables) -> None:
    put(tables, 0, pl.DataFrame({"k": [1, 2], "v": ["a", "b"]}))
    merge = Write("merge", pl.DataFrame({"k": [2, 3], "v": ["B", "C"]}), ("k",))
    first = tables.write("t", merge, identity="m", origin={})
    again = tables.write("t", merge, identity="m", origin={})
    assert (first.version, first.inserted, first.updated, first.repeated) == (1, 1, 1, False)
    assert (again.version, again.inserted, again.updated, again.repeated) == (1, 1, 1, True)


def test_no_rows_put_files_together_too(tables: Tables, few: None) -> None:
    for n in range(4):
        put(tables, n, row(n))
    nothing = Write("merge", pl.DataFrame({"k": []}, schema={"k": pl.Int64}), ("k",), schema_mode="merge")
    assert tables.describe("t").files == 4
    assert tables.write("t", nothing, identity="none", origin={}).version == 4
    assert tables.describe("t").files == 1
    assert tables.scan("t").collect()["k"].to_list() == [0, 1, 2, 3]


def test_files_put_together_are_no_news(tables: Tables, few: None) -> None:
    for n in range(3):
        put(tables, n, row(n))
    for n in range(3, 30):
        put(tables, n, row(n))
        news = tables.appended("t", n - 3, n)
        assert news is not None
        assert news.collect()["k"].to_list() == [n - 2, n - 1, n]
        added = tables.added_ranges("t", "k", n - 1, n)
        assert added is not None
        assert [(file.least, file.greatest) for file in added] == [(n, n)]


def test_news_whose_files_a_clean_up_took_are_not_to_be_had(tables: Tables, few: None) -> None:
    for n in range(12):
        put(tables, n, row(n))
    tables.clean("t", set(), grace=-1)
    assert tables.appended("t", 0, 11) is None
    assert tables.scan("t").collect()["k"].to_list() == list(range(12))


def test_a_kept_version_reads_the_same_after_files_were_put_together_and_cleaned(
    tables: Tables, few: None
) -> None:
    for n in range(10):
        put(tables, n, row(n))
    before = tables.scan("t", 5).collect()
    for n in range(10, 40):
        put(tables, n, row(n % 13, "y"), "merge", ("k",))
    tables.clean("t", {5}, grace=-1)
    assert tables.scan("t", 5).collect().equals(before)
    assert tables.damage("t", {5}) == []


def test_a_write_is_made_even_if_small_files_can_not_be_put_together(
    tables: Tables, tmp_path: Path, few: None
) -> None:
    for n in range(3):
        put(tables, n, row(n))
    Path(DeltaTable(tmp_path / "t").file_uris()[0]).unlink()
    assert put(tables, 3, row(3)) == 3
    assert put(tables, 4, row(4)) == 4
    with pytest.raises(TableError, match="is missing"):
        tables.scan("t")


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_a_crash_between_files_and_commit_leaves_the_old_version(
    tables: Tables, tmp_path: Path, mode: str
) -> None:
    for n in range(5):
        put(tables, n, row(n))
    before = set(tmp_path.glob("t/*.parquet"))
    dies = "r.Rewriting.commit = lambda self, rows, properties: (self._add(rows, new=True), os._exit(9))"
    code = f"{FEW}import os; {dies}\n{WRITER}"
    writer = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), mode, "7", "1", "own"], input="go\n", text=True, check=False,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert writer.returncode == 9
    assert set(tmp_path.glob("t/*.parquet")) > before
    assert tables.version("t") == 4
    assert tables.scan("t").collect()["k"].to_list() == list(range(5))
    assert put(tables, 5, row(5)) == 5
    assert tables.clean("t", set(range(5)), grace=-1).removed
    assert set(tmp_path.glob("t/*.parquet")) >= before
    assert tables.scan("t").collect()["k"].to_list() == list(range(6))


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_writers_that_put_files_together_lose_nothing(tmp_path: Path, mode: str) -> None:
    reports = race([start(tmp_path, mode, tag, 12, code=FEW + WRITER) for tag in range(3)])
    versions = [int(line.split()[1]) for report in reports for line in report]
    assert sorted(versions) == list(range(36))
    frame = Tables(str(tmp_path)).scan("t").collect()
    assert frame.height == (72 if mode == "append" else 12 + 3)
    assert len(DeltaTable(tmp_path / "t").file_uris()) < 12


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_damage_is_not_written_anew_as_if_it_were_right(
    tables: Tables, tmp_path: Path, few: None, mode: str
) -> None:
    for n in range(3):
        put(tables, n, row(n))
    damaged = Path(DeltaTable(tmp_path / "t").file_uris()[0])
    data = bytearray(damaged.read_bytes())
    data[6] ^= 1
    damaged.write_bytes(data)
    if mode == "append":
        assert put(tables, 3, row(3)) == 3
        assert tables.describe("t").files == 4
    else:
        with pytest.raises(TableError, match=f"{damaged.name} of table 't' is damaged"):
            put(tables, 3, row(int(pl.read_parquet(damaged)["k"][0])), "merge", ("k",))
        assert tables.version("t") == 2
    (error,) = tables.damage("t")
    assert damaged.name in error.what


def test_a_flipped_bit_among_the_digests_stops_no_merge(tables: Tables, tmp_path: Path) -> None:
    put(tables, 0, row(0))
    sums = tmp_path / ".sums" / "t"
    data = bytearray(sums.read_bytes())
    data[data.index(b'.parquet": "') + 15] |= 0x80
    sums.write_bytes(data)
    assert put(tables, 1, row(0, "y"), "merge", ("k",)) == 1
    assert tables.scan("t").collect()["v"].to_list() == ["y"]


def values() -> Iterator[st.SearchStrategy[pl.Series]]:
    moment = st.datetimes().filter(lambda t: t.year < 9999)
    for dtype, strategy in (
        (pl.Int64, st.integers(-(2**63), 2**63 - 1)),
        (pl.Float64, st.floats()),
        (pl.String, st.text(max_size=40)),
        (pl.Boolean, st.booleans()),
        (pl.Date, st.dates()),
        (pl.Datetime("us"), moment),
        (pl.Datetime("us", "UTC"), moment.map(lambda t: t.replace(tzinfo=dt.UTC))),
    ):
        yield st.lists(st.none() | strategy, max_size=5).map(lambda v, d=dtype: pl.Series("c", v, d))


@settings(max_examples=150, deadline=None)
@given(st.one_of(list(values())))
def test_statistics_lie_around_all_values(column: pl.Series) -> None:
    known = json.loads(json.dumps(statistics(column.to_frame()), allow_nan=False))
    assert (known["numRecords"], known["nullCount"]["c"]) == (len(column), column.null_count())
    if "c" not in known["minValues"]:
        is_odd = column.dtype.is_float() and not column.drop_nulls().is_finite().all()
        assert is_odd or column.null_count() == len(column)
        return
    ends = pl.Series([known["minValues"]["c"], known["maxValues"]["c"]])
    if column.dtype == pl.Date:
        ends = ends.str.to_date()
    elif column.dtype.is_temporal():
        ends = ends.str.to_datetime(time_zone=column.dtype.time_zone)  # type: ignore[attr-defined]
    assert ends[0] <= column.min()  # type: ignore[operator]
    assert ends[1] >= column.max()  # type: ignore[operator]
    if column.dtype in (pl.Datetime("us"), pl.Datetime("us", "UTC")):
        assert ends[1] - column.max() < dt.timedelta(milliseconds=1)


def test_a_long_text_has_no_end_where_none_can_be_written() -> None:
    texts = pl.DataFrame({"c": ["a" * 32 + "\U0010ffff" * 2], "d": ["b" * 33]})
    assert statistics(texts)["maxValues"] == {"d": "b" * 32 + "\U0010ffff"}


def test_the_engine_reads_what_was_written_anew(tables: Tables, tmp_path: Path, few: None) -> None:
    noon = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
    for n in range(9):
        frame = pl.DataFrame(
            {"k": [n], "at": [noon + dt.timedelta(days=n, microseconds=1)], "x": [n / 3], "parts": [[n]]}
        )
        put(tables, n, frame, "merge" if n % 2 else "append", ("k",) if n % 2 else ())
    DeltaTable(tmp_path / "t").create_checkpoint()
    table = DeltaTable(tmp_path / "t")
    assert sorted(pl.DataFrame(table.scan().read_all())["k"]) == list(range(9))
    recent = tables.scan("t").filter(pl.col("at") == noon + dt.timedelta(days=5, microseconds=1)).collect()
    assert recent["k"].to_list() == [5]


def test_what_another_program_asks_of_its_writers_is_kept(tables: Tables, tmp_path: Path, few: None) -> None:
    frame = pl.DataFrame({"k": [1, 2], "place": ["a", "b"]})
    write_deltalake(tmp_path / "t", frame, partition_by=["place"])
    for n in range(9):
        put(tables, n, pl.DataFrame({"k": [n], "place": ["b"]}), "merge", ("k",))
    assert sorted(tables.scan("t").collect()["k"]) == list(range(9))
    assert all("place=" in uri for uri in DeltaTable(tmp_path / "t").file_uris())
    DeltaTable(tmp_path / "t").alter.add_constraint({"positive": "k >= 0"})
    with pytest.raises(TableError):
        put(tables, 9, pl.DataFrame({"k": [-1], "place": ["b"]}), "append")


@pytest.mark.parametrize(
    "rule",
    [{"delta.generationExpression": "k"}, {"delta.invariants": '{"expression": {"expression": "v <> \'\'"}}'}],
)
def test_a_column_with_a_rule_is_left_to_the_engine(tmp_path: Path, rule: dict[str, Any]) -> None:
    fields = [Field("k", "long"), Field("v", "string", metadata=rule)]
    for name, schema in (("plain", Schema(fields[:1])), ("ruled", Schema(fields))):
        DeltaTable.create(tmp_path / name, schema)
    assert is_plain(DeltaTable(tmp_path / "plain"))
    assert not is_plain(DeltaTable(tmp_path / "ruled"))


def test_an_entry_lost_from_the_middle_is_found_though_the_newest_is_told_from_the_last(
    tables: Tables, tmp_path: Path
) -> None:
    for n in range(53):
        put(tables, n, row(n))
    for _ in range(3):  # another program's, of which no digest is known
        write_deltalake(tmp_path / "t", row(0), mode="append")
    (tmp_path / f"t/_delta_log/{54:020d}.json").unlink()
    assert "54.json is missing" in tables.damage("t")[0].what


def test_the_newest_version_is_known_without_a_look_at_all_that_went_before(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(55):
        put(tables, n, row(n))
    monkeypatch.setattr(os, "listdir", lambda path: pytest.fail(f"{path} is listed"))
    assert tables.version("t") == 54
