"""What each value in a file becomes, whatever the format: kept, refused with its place, or told as doubtful."""

from __future__ import annotations

import gzip
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from trikk.core.errors import StorageError, TableError, UsageError
from trikk.storage.ingest import csv_text as ingest_csv
from trikk.storage.ingest import json_lines as ingest_json
from trikk.storage.ingest.files_to_table import IngestReport, ingest
from trikk.storage.ingest.reader import Reading, Rows, format_of, read_parts, united
from trikk.storage.tables.versioned_tables import Tables, Write

BIG = 2**63 - 1


def rows_of(folder: Path, files: Sequence[tuple[str, object]], table: pl.Schema | None = None, **how: Any) -> Rows:
    """Read files as `ingest` does."""
    reading, parts = Reading(**how), []
    for name, content in files:
        path = folder / name
        if isinstance(content, pl.DataFrame):
            content.write_parquet(path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else str(content).encode())
        parts += read_parts(path, *format_of(name), name, reading)
    return united(parts, reading, table=table, for_table=True)


def values(folder: Path, *texts: str, **how: Any) -> tuple[pl.DataType, list[Any]]:
    """The first column of CSV files that hold these texts."""
    column = rows_of(folder, [(f"{n}.csv", text) for n, text in enumerate(texts)], **how).frame.to_series()
    return column.dtype, column.to_list()


@pytest.mark.parametrize(
    ("texts", "dtype", "expected"),
    [
        (["x\n1\n-2\n"], pl.Int64, [1, -2]),
        (["x\n2016-12-31T23:59:60\n"], pl.String, ["2016-12-31T23:59:60"]),
        (["x\n2016-12-31 23:59:60Z\n"], pl.String, ["2016-12-31 23:59:60Z"]),
        (["x\n1\n", "x\n2.5\n"], pl.Float64, [1.0, 2.5]),
        (["x,y\n,1\n", "x,y\n3,1\n"], pl.Int64, [None, 3]),
        (["y,x\n1,\n", "x,y\n3,1\n"], pl.Int64, [1, 1]),
        ([f"x\n{BIG}\n{BIG + 1}\n"], pl.String, [str(BIG), str(BIG + 1)]),
        ([f"x\n{BIG}\n"], pl.Int64, [BIG]),
        ([f"x\n{BIG}\n", f"x\n{BIG + 1}\n"], pl.String, [str(BIG), str(BIG + 1)]),
        (["x\n9007199254740993\n2.5\n"], pl.String, ["9007199254740993", "2.5"]),
        (["x\n9007199254740992\n2.5\n"], pl.Float64, [9007199254740992.0, 2.5]),
        (["x\n007\n12\n"], pl.String, ["007", "12"]),
        (["x\n12\n", "x\n007\n"], pl.String, ["12", "007"]),
        (["x\n+4917\n"], pl.String, ["+4917"]),
        (["x\n1e999\n"], pl.String, ["1e999"]),
        (["x\n1\nNA\n"], pl.String, ["1", "NA"]),
        (["x\nNaN\ninf\n1\n"], pl.Float64, ["nan", float("inf"), 1.0]),
        (["x\ntrue\nFALSE\n"], pl.Boolean, [True, False]),
        (["x\n2020-03-26\n"], pl.Date, [date(2020, 3, 26)]),
        (["x\n2020-03-26T04:00+01:00\n"], pl.Datetime("us", "UTC"), [datetime(2020, 3, 26, 3, tzinfo=UTC)]),
        (["x\n2020-03-26 04:00\n2020-03-26T04:00Z\n"], pl.String, ["2020-03-26 04:00", "2020-03-26T04:00Z"]),
        (["x\n2020-03-26T04:00:00.1234567\n"], pl.String, ["2020-03-26T04:00:00.1234567"]),
        (["x\n26.03.2020\n"], pl.String, ["26.03.2020"]),
        (['x,y\n"",1\n,2\na,3\n'], pl.String, ["", None, "a"]),
        (['x,y\n"",1\n5,2\n'], pl.Int64, [None, 5]),
        (["x,y\n monday,1\n"], pl.String, [" monday"]),
        (["x\n1\n\n2\n\n"], pl.Int64, [1, 2]),
        (["\n\nx,y\r\n1,2\r\n\r\n3,4"], pl.Int64, [1, 3]),
        (["\ufeffx,y\r\n1,2\r\n"], pl.Int64, [1]),
        (['x,y\n"a\n\nb",1\n\n"c""d",2\n'], pl.String, ["a\n\nb", 'c"d']),
        (["x,y\n,\n"], pl.String, [None]),
    ],
)  # fmt: skip
def test_a_csv_value_is_what_a_careful_reader_expects(
    tmp_path: Path, texts: list[str], dtype: pl.DataType, expected: list[Any]
) -> None:
    found, got = values(tmp_path, *texts)
    assert found == dtype
    assert ["nan" if value != value else value for value in got] == expected  # noqa: PLR0124


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a,b\n1,2\n\n3\n", 4, "fewer fields (1) than the header (2)"),
        ('a,b\n"x\ny",2\n1\n', 4, "fewer fields"),
        ("a,b\n1,2,3\n", 2, "more fields (3) than the header (2)"),
        ("a,b\n1,2\n3,4,\n", 3, "more fields (3)"),
        ("a,b,c\n1,2\n1,2,3,4\n", 2, "fewer fields"),
        ('a,b\n1,2\n3,12" pipe\n', 3, "'b'"),
        ('a,b\n1,x"y"\n', 2, "a stray quote in column 'b'"),
        ('a,b\n1,"x"y\n', 2, "a stray quote in column 'b'"),
        ('a,b\n1, "x,y"\n', 2, "a stray quote in column 'b'"),
        ('a,b\n1,2\n3,"x\n4,5\n', 3, "a quote in column 'b' is never closed"),
        ("a,b\n1,x\ry\n", 2, "a carriage return in column 'b'"),
        ("a,b\r1,2\r", 1, "carriage return alone"),
        ("a,b,a\n1,2,3\n", 1, "'a' twice"),
        (",b\n1,2\n", 1, "column 1 has no name"),
        (b"a,b\n1,2\n3,\xff\n", 3, "not UTF-8"),
        ("a\n1\n".encode("utf-16"), 1, "UTF-16"),
        ("a;b\n1;2\n", 1, "a semicolon"),
        ("a\tb\n1\t2\n", 1, "a tab"),
        ("", None, "empty"),
    ],
)  # fmt: skip
def test_a_csv_file_that_is_none_is_refused_with_its_line(
    tmp_path: Path, text: str | bytes, line: int | None, words: str
) -> None:
    with pytest.raises(StorageError) as error:
        rows_of(tmp_path, [("a.csv", text)])
    assert words in error.value.what
    assert error.value.where == ("a.csv" if line is None else f"a.csv:{line}")
    assert error.value.next


def test_lines_are_counted_over_blank_ones_and_values_of_several(tmp_path: Path) -> None:
    text = 'a,b\n"x\n\ny",1\n\n\n"z",2\nw,three\n'
    with pytest.raises(StorageError) as error:
        rows_of(tmp_path, [("a.csv", text)], types={"b": "Int64"})
    assert error.value.where == "a.csv:8"
    rows = rows_of(tmp_path, [("a.csv", text)])
    assert rows.frame.rows() == [("x\n\ny", "1"), ("z", "2"), ("w", "three")]
    assert "2 blank lines left out" in rows.doubts
    assert any("'three' (a.csv line 8) is not a number" in doubt for doubt in rows.doubts)


@pytest.mark.parametrize("size", [1, 7, 64, 4 << 20])
def test_however_a_file_is_cut_into_pieces_it_reads_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    chance = random.Random(5)
    monkeypatch.setattr(ingest_csv, "_PIECE", size)
    for _ in range(20):
        cells = ["", '""', "a", '"a,b"', '"x""y"', '"l\n\nm"', '"r\r\n"', "é"]
        kept = [[chance.choice(cells) for _ in range(3)] for _ in range(chance.randrange(1, 9))]
        end = chance.choice(["\n", "\r\n"])
        lines = [",".join(row) + end * chance.choice([1, 1, 1, 2]) for row in kept]
        text = "a,b,c" + end + "".join(lines)
        frame = rows_of(tmp_path, [("a.csv", text)], types=dict.fromkeys("abc", "String")).frame
        plain = [None if cell == "" else cell.strip('"').replace('""', '"') for row in kept for cell in row]
        assert [value for row in frame.rows() for value in row] == plain


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("x\n1\n2\nNA\n", ["'NA' (a.csv line 4) is not a number", "(1 row)"]),
        ("x\n007\n", ["'007' (a.csv line 2) has leading zeros"]),
        ('a,x\n1,"b\r"\n2,\n', ["(a.csv line 2) has a control character"]),
        ("a,x\n1, monday\n2,tuesday \n", ["' monday' (a.csv line 2) begins or ends with a blank (2 rows)"]),
        ("a,x\n1,\u00a0y\n", ["begins or ends with a blank"]),
        (f"x\n{BIG + 1}\n", ["a whole number that no type holds"]),
        ("x,y\n1,\n", ["'y' has no value in any row", "--types y=TYPE"]),
        ('a,x\n1,""\n2,b\n', ["is an empty text in quotes"]),
        ("x\n03/26/2020\n", ["looks like a date"]),
        ("x\n0.1234567890123456789\n", ["more digits than Float64 holds"]),
        ("x\n63.441121100000004\n-1.5760000000000003\n0.30000000000000004\n", []),
        ("x\n2020-01-01\n2020-01-01T00:00Z\n", ["not all are of one kind"]),
        ("a,b\n1,2\n\n", ["1 blank line left out"]),
        ("a, x\n1,2\n", ["' x': its name begins or ends with a blank"]),
        ("x\n1\n2\n", []),
        ("day,n,name\n2020-01-01,1.5,ann\n", []),
    ],
)  # fmt: skip
def test_what_is_doubtful_is_told_with_its_line(tmp_path: Path, content: str, words: list[str]) -> None:
    doubts = rows_of(tmp_path, [("a.csv", content)]).doubts
    assert bool(doubts) == bool(words)
    for word in words:
        assert any(word in doubt for doubt in doubts), doubts


def test_texts_that_mean_nothing_types_and_separators_can_be_said(tmp_path: Path) -> None:
    assert values(tmp_path, "x,y\n1,a\nNA,b\nn/a,c\n", nulls=["NA", "n/a"]) == (pl.Int64, [1, None, None])
    assert values(tmp_path, "x;y\n1;2\n", separator=";") == (pl.Int64, [1])
    assert values(tmp_path, "x\n7\n", types={"x": "String"}) == (pl.String, ["7"])
    assert values(tmp_path, "x\n+7\n", types={"x": "Int16"}) == (pl.Int16, [7])
    with pytest.raises(UsageError, match="no column 'y' for types="):
        values(tmp_path, "x\n1\n", types={"y": "String"})
    with pytest.raises(UsageError, match="one character"):
        Reading(separator=";;")


NESTED = '{"id":1,"a":[1,2],"s":{"x":1}}\n{"id":2,"a":[1.5],"s":{"x":2,"z":5}}\n'


@pytest.mark.parametrize("rows_at_once", [1, 65_536])
def test_nested_json_is_widened_and_nothing_of_it_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_at_once: int
) -> None:
    monkeypatch.setattr(ingest_json, "_ROWS", rows_at_once)
    frame = rows_of(tmp_path, [("a.jsonl", NESTED)]).frame
    assert frame.to_dicts() == [
        {"id": 1, "a": [1.0, 2.0], "s": {"x": 1, "z": None}},
        {"id": 2, "a": [1.5], "s": {"x": 2, "z": 5}},
    ]
    assert rows_of(tmp_path, [("b.parquet", frame)]).frame.equals(frame)
    split = rows_of(tmp_path, [(f"{n}.jsonl", line) for n, line in enumerate(NESTED.splitlines())])
    assert split.frame.equals(frame)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('{"a":[1]}\n{"a":["u"]}\n', 2, "a[0] is String 'u'"),
        ('{"a":{"b":[{"c":1}]}}\n\n{"a":{"b":[{"c":1},{"c":"x"}]}}\n', 3, "a.b[1].c is String 'x'"),
        ('{"s":{"x":1}}\n{"s":5}\n', 2, "s is Int64 5"),
        ('{"x":1}\n{"x":"1"}\n', 2, "x is String '1', which does not fit the Int64 before it"),
        ('{"x":true}\n{"x":1}\n', 2, "Int64 1"),
        ('{"a":[9007199254740993]}\n{"a":[0.5]}\n', 2, "a[0]"),
        (f'{{"a":[{BIG + 1}]}}\n', 1, "a[0]"),
        ('{"x":1}\n{"x":1,"x":2}\n', 2, "names 'x' twice"),
        ('{"x":{"y":1,"y":2}}\n', 1, "names 'y' twice"),
        ('{"x":1}\n[1]\n', 2, "not a JSON object, but List"),
        ('{"x":1}\n{"":1}\n', 2, "a name that is empty"),
        ('{"x":1}\n{"x":\n', 2, "not JSON"),
        ('{"x":0.5}\n{"x":1e999}\n', 2, "no Float64 holds"),
        ('{"x":"\\ud800"}\n', 1, "not a Unicode text"),
        (b'{"x":1}\n{"x":"\xff"}\n', 2, "not UTF-8"),
        ('{"x":' + "[" * 100_000 + "\n", 1, "nests too deeply"),
    ],
)  # fmt: skip
def test_a_json_value_that_does_not_fit_is_refused_with_line_and_path(
    tmp_path: Path, text: str | bytes, line: int | None, words: str
) -> None:
    with pytest.raises(StorageError) as error:
        rows_of(tmp_path, [("a.jsonl", text)])
    assert words in error.value.what
    assert error.value.where == ("a.jsonl" if line is None else f"a.jsonl:{line}")


def test_numbers_in_json_that_fit_no_type_together_are_text_as_in_csv(tmp_path: Path) -> None:
    for first, second in ((BIG, BIG + 1), (9007199254740993, 2.5)):
        rows = rows_of(tmp_path, [("a.jsonl", f'{{"x":{first}}}\n{{"x":{second}}}\n')])
        csv = rows_of(tmp_path, [("a.csv", f"x\n{first}\n{second}\n")])
        assert rows.frame["x"].to_list() == csv.frame["x"].to_list() == [str(first), str(second)]
        assert rows.doubts
    frame = pl.DataFrame({"x": pl.Series([1, 2**63], dtype=pl.UInt64)})
    assert rows_of(tmp_path, [("a.parquet", frame)]).frame["x"].to_list() == ["1", str(2**63)]
    mixed = [("a.jsonl", '{"x":1}\n{"x":"b"}\n')]
    assert rows_of(tmp_path, mixed, types={"x": "String"}).frame["x"].to_list() == ["1", "b"]


def test_files_of_several_formats_go_together(tmp_path: Path) -> None:
    files = [
        ("a.csv", "x,d\n1,2020-01-01\n"),
        ("b.jsonl.gz", gzip.compress(b'{"d":null,"x":2.5}\n')),
        ("c.parquet", pl.DataFrame({"x": [3], "d": [date(2020, 1, 2)]})),
        ("d.csv.gz", gzip.compress(b"d,x\n,\n")),
    ]
    frame = rows_of(tmp_path, files).frame
    assert frame["x"].to_list() == [1.0, 2.5, 3.0, None]
    assert frame["d"].to_list() == [date(2020, 1, 1), None, date(2020, 1, 2), None]
    with pytest.raises(StorageError, match=r"column 'x' is String in a.csv, and Int64 in c.parquet"):
        rows_of(tmp_path, [("a.csv", "x\nq\n"), ("c.parquet", pl.DataFrame({"x": [3]}))])


def test_all_columns_that_two_files_have_in_other_types_are_named_at_once(tmp_path: Path) -> None:
    parquet = pl.DataFrame({"x": [3], "day": ["2020-01-02"], "n": [1]})
    with pytest.raises(StorageError) as refused:
        rows_of(tmp_path, [("a.csv", "x,day,n\nq,2020-01-01,1\n"), ("c.parquet", parquet)])
    assert refused.value.what == (
        "column 'x' is String in a.csv, and Int64 in c.parquet; "
        "column 'day' is Date in a.csv, and String in c.parquet"
    )
    assert refused.value.next == (
        'name their types: --types x=String,day=String, in a step types={"x": "String", "day": "String"}'
    )


FITS: list[tuple[Any, Any, pl.DataType, bool]] = [
    (2.0, "2.0", pl.Int64(), True),
    (2.7, "2.7", pl.Int64(), False),
    (2**40, str(2**40), pl.Int32(), False),
    (2**53 + 1, str(2**53 + 1), pl.Float64(), False),
    (2**53, str(2**53), pl.Float64(), True),
    (1e300, "1e300", pl.Float32(), False),
    (0.1, "0.1", pl.Float32(), True),
    (0.123456789012, "0.123456789012", pl.Float32(), False),
    ("2020-03-26", "2020-03-26", pl.Date(), True),
    ("2020-03-26T05:00", "2020-03-26T05:00", pl.Date(), False),
    ("2020-03-26T05:00:00", "2020-03-26T05:00:00", pl.Datetime("us", "UTC"), False),
    ("soon", "soon", pl.Boolean(), False),
]


@pytest.mark.parametrize(("value", "text", "dtype", "fits"), FITS)
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_what_a_tables_type_would_change_is_refused_in_any_format(
    tmp_path: Path, kind: str, value: Any, text: str, dtype: pl.DataType, fits: bool
) -> None:
    frame = pl.DataFrame({"x": [None, value]}, strict=False)
    content: object = {"csv": f"x,y\n,1\n{text},1\n", "jsonl": frame.with_columns(y=1).write_ndjson()}.get(
        kind, frame.with_columns(y=1)
    )
    table = pl.Schema({"x": dtype, "y": pl.Int64()})
    if fits:
        column = rows_of(tmp_path, [(f"a.{kind}", content)], table).frame["x"]
        assert column.dtype == dtype
        assert column.null_count() == 1
        return
    with pytest.raises(
        StorageError, match=f"column 'x': expected {dtype}".replace("(", r"\(").split("=")[0]
    ) as error:
        rows_of(tmp_path, [(f"a.{kind}", content)], table)
    assert error.value.where == f"a.{kind}:{3 if kind == 'csv' else 2}"


def test_what_no_table_holds_can_be_taken_as_text(tmp_path: Path) -> None:
    values = {"at": [time(4, 55), None], "took": [timedelta(minutes=90), None], "raw": [b"\xff", b"a"]}
    frame = pl.DataFrame(values)
    for name in ("at", "took"):
        with pytest.raises(TableError) as refused:
            rows_of(tmp_path, [("a.parquet", frame.select(name))])
        assert refused.value.next == f"take it as text: --types {name}=String"
        assert refused.value.where == "a.parquet"
    texts = rows_of(tmp_path, [("a.parquet", frame.drop("raw"))], types={"at": "String", "took": "String"}).frame
    assert texts.rows() == [("04:55:00", "PT1H30M"), (None, None)]
    with pytest.raises(StorageError, match=r"a.parquet row 1, column 'raw': expected String, found Binary"):
        rows_of(tmp_path, [("a.parquet", frame.select("raw"))], types={"raw": "String"})


def test_what_parquet_knows_finer_than_a_table_is_refused(tmp_path: Path) -> None:
    fine = pl.DataFrame({"t": pl.Series([1000, 1001]).cast(pl.Datetime("ns"))})
    with pytest.raises(StorageError, match="row 2, column 't'"):
        rows_of(tmp_path, [("a.parquet", fine)])
    assert rows_of(tmp_path, [("a.parquet", fine.head(1))]).frame.schema["t"] == pl.Datetime("us")
    table = pl.Schema({"s": pl.Struct({"x": pl.Int64})})
    nested = [("a.jsonl", '{"s":{"x":1}}\n{"s":{"x":2,"z":5}}\n')]
    with pytest.raises(StorageError, match=r"line 2, column 's', at s\.z"):
        rows_of(tmp_path, nested, table)
    with pytest.raises(StorageError, match=r"row 2, column 's', at s\.z"):
        rows_of(tmp_path, [("a.parquet", pl.DataFrame({"s": [{"x": 1, "z": None}, {"x": 2, "z": 5}]}))], table)
    unknown = rows_of(tmp_path, [("a.jsonl", '{"a":[],"s":{"x":1,"y":null}}\n')])
    assert unknown.frame.schema == {"a": pl.List(pl.String), "s": pl.Struct({"x": pl.Int64, "y": pl.String})}
    assert len(unknown.doubts) == 2
    empty = pl.Schema({"a": pl.List(pl.Int64)})
    assert rows_of(tmp_path, [("a.jsonl", '{"a":[]}\n')], empty).frame["a"].to_list() == [[]]


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(str(tmp_path / "tables"))


def take(tables: Tables, folder: Path, text: str, name: str = "a.csv", **more: Any) -> IngestReport:
    (folder / name).write_text(text)
    return ingest(tables, "t", [str(folder / name)], origin={}, **more)


def test_the_same_files_without_a_key_are_put_in_once(tables: Tables, tmp_path: Path) -> None:
    assert take(tables, tmp_path, "k\n1\n").version == 0
    again = take(tables, tmp_path, "k\n1\n")
    assert (again.repeated, again.version, tables.version("t")) == (True, 0, 0)
    assert take(tables, tmp_path, "k\n1\n", again=True).version == 1
    assert take(tables, tmp_path, "k\n1\n", name="b.csv").version == 2
    assert take(tables, tmp_path, "k\n2\n").version == 3
    assert tables.scan("t").collect()["k"].to_list() == [1, 1, 1, 2]


def test_rows_that_were_overwritten_since_may_be_put_in_again(tables: Tables, tmp_path: Path) -> None:
    for mode, text, version in [
        ("append", "k\n1\n", 0), ("overwrite", "k\n2\n", 1), ("overwrite", "k\n2\n", 1), ("append", "k\n1\n", 2),
        ("append", "k\n1\n", 2), ("overwrite", "k\n2\n", 3), ("overwrite", "k\n2\n", 3), ("append", "k\n1\n", 4),
    ]:  # fmt: skip
        assert take(tables, tmp_path, text, mode=mode).version == version
    assert tables.scan("t").collect()["k"].to_list() == [2, 1]


@pytest.mark.parametrize("mode", ["append", "merge"])
@pytest.mark.parametrize(
    ("before", "after", "values", "dtype"),
    [
        ('{"id":1,"x":null}', '{"id":2,"x":5}', [None, 5], pl.Int64()),
        ('{"id":1,"x":null}', '{"id":2,"x":"2024-01-01"}', [None, date(2024, 1, 1)], pl.Date()),
        ('{"id":1,"x":null}', '{"id":2,"x":null}', [None, None], pl.String()),
        ('{"id":1,"x":[]}', '{"id":2,"x":[2.5]}', [[], [2.5]], pl.List(pl.Float64)),
        ('{"id":1,"x":[[null]]}', '{"id":2,"x":[[1]]}', [[[None]], [[1]]], pl.List(pl.List(pl.Int64))),
        ('{"id":1,"x":"a"}', '{"id":2,"x":"5"}', ["a", "5"], pl.String()),
    ],
)
def test_a_column_that_never_had_a_value_takes_the_type_of_the_first(
    tables: Tables, tmp_path: Path, mode: Any, before: str, after: str, values: list[object], dtype: pl.DataType
) -> None:
    key = ["id"] if mode == "merge" else []
    for name, line in (("before.jsonl", before), ("after.jsonl", after)):
        assert take(tables, tmp_path, line + "\n", name, key=key, mode=mode).new == 1
    found = tables.scan("t").sort("id").collect()
    assert found.schema["x"] == dtype
    assert found["x"].to_list() == values
    version = tables.version("t")  # the column's new type is no reason to put in again what is there
    for name, line in (("before.jsonl", before), ("after.jsonl", after)):
        report = take(tables, tmp_path, line + "\n", name, key=key, mode=mode)
        assert report.repeated or report.rows == 0
    assert tables.version("t") == version


@pytest.mark.parametrize(
    ("first", "second", "dtype"),
    [({"x": "Float64"}, {}, pl.Float64), ({}, {"x": "String"}, pl.String), ({}, {"x": "Int32"}, pl.Int32)],
)
def test_a_type_that_is_said_holds_for_a_column_without_values(
    tables: Tables, tmp_path: Path, first: dict[str, str], second: dict[str, str], dtype: pl.DataType
) -> None:
    take(tables, tmp_path, "id,x\n1,\n", reading=Reading(types=first))
    take(tables, tmp_path, "id,x\n2,5\n", reading=Reading(types=second))
    assert tables.scan("t").collect_schema()["x"] == dtype


def test_a_merge_writes_what_is_new_or_changed_and_nothing_else(tables: Tables, tmp_path: Path) -> None:
    base = pl.DataFrame({"k": [1, 2, 3], "v": ["a", None, "c"], "w": [0.5, 1.5, 2.5]})
    tables.write("t", Write("append", base), identity="base", origin={})
    report = take(tables, tmp_path, "k,v\n1,a\n2,b\n4,d\n4,d\n", key=["k"], mode="merge")
    assert (report.new, report.changed, report.equal, report.version) == (1, 1, 2, 1)
    assert sorted(tables.scan("t").collect().rows()) == [
        (1, "a", 0.5), (2, "b", 1.5), (3, "c", 2.5), (4, "d", None),
    ]  # fmt: skip
    again = take(tables, tmp_path, "k,v\n1,a\n2,b\n4,d\n4,d\n", key=["k"], mode="merge")
    assert (again.new, again.changed, again.equal, again.version) == (0, 0, 4, 1)
    assert take(tables, tmp_path, "k,v\n2,\n", key=["k"], mode="merge").changed == 1
    assert tables.version("t") == 2
    with pytest.raises(
        StorageError, match=r"1 have the key of another and other values, 1 the same; .* k=7 has v x and y"
    ):
        take(tables, tmp_path, "k,v\n7,x\n7,y\n7,x\n", key=["k"], mode="merge")
    with pytest.raises(StorageError, match="'u' is not in the table"):
        take(tables, tmp_path, "k,u\n7,x\n", key=["k"], mode="merge")


def test_rows_of_one_key_that_contradict_are_told_from_equal_ones(tables: Tables, tmp_path: Path) -> None:
    report = take(tables, tmp_path, "k,v\n1,a\n1,a\n1,b\n2,c\n", key=["k"])
    assert (report.rows, report.dropped, report.equal, report.different) == (2, 2, 1, 1)
    assert report.examples == ("in the files: k=1 has v a and b",)
    report = take(tables, tmp_path, "k,v\n1,a\n2,z\n3,n\n", key=["k"])
    assert (report.rows, report.dropped, report.equal, report.different) == (1, 2, 1, 1)
    assert report.examples == ("in the table and in the files: k=2 has v c and z",)
    report = take(tables, tmp_path, "k,v\n1,a\n2,z\n3,n\n", key=["k"])
    assert (report.rows, report.dropped, report.version, tables.version("t")) == (0, 3, 1, 1)


@pytest.mark.parametrize("mode", ["append", "overwrite", "merge"])
def test_no_rows_make_no_version(tables: Tables, tmp_path: Path, mode: str) -> None:
    how = {"mode": mode, "key": ["k"] if mode == "merge" else []}
    assert take(tables, tmp_path, "k,v\n", **how).version is None
    assert tables.names() == []
    take(tables, tmp_path, "k,v\n1,a\n")
    assert take(tables, tmp_path, "k,v\n", name="b.csv", **how).version == 0
    assert take(tables, tmp_path, "\n", name="b.jsonl", **how).version == 0
    assert tables.scan("t").collect().height == 1


DIES_AFTER_ITS_COMMIT = """
import os, signal, sys
from trikk.storage.tables import delta_log as table_log
from trikk.storage.ingest.files_to_table import ingest
from trikk.storage.tables.versioned_tables import Tables
table_log.sync_commit = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
ingest(Tables(sys.argv[1]), "t", [sys.argv[2]], origin={})
"""


def test_an_ingest_that_was_killed_after_its_commit_adds_nothing_when_repeated(
    tables: Tables, tmp_path: Path
) -> None:
    take(tables, tmp_path, "k\n0\n", name="first.csv")
    (tmp_path / "a.csv").write_text("k\n1\n2\n")
    died = subprocess.run(
        [sys.executable, "-c", DIES_AFTER_ITS_COMMIT, tmp_path / "tables", tmp_path / "a.csv"], check=False
    )
    assert died.returncode == -signal.SIGKILL
    again = take(tables, tmp_path, "k\n1\n2\n")
    assert (again.repeated, again.version, again.rows) == (True, 1, 2)
    assert tables.scan("t").collect()["k"].to_list() == [0, 1, 2]
