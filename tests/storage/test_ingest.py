from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trikk.core.errors import TableError, TrikkError, UsageError
from trikk.storage.ingest.files_to_table import IngestReport, ingest
from trikk.storage.tables.versioned_tables import Tables, Write


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(str(tmp_path / "tables"))


def take(tables: Tables, *sources: object, identity: str = "i", **more: object) -> IngestReport:
    return ingest(tables, "t", [str(s) for s in sources], identity=identity, origin={}, **more)  # type: ignore[arg-type]


def file(tmp_path: Path, name: str, text: str | bytes) -> Path:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


CSV = (
    "n,x,day,local,utc,ok,name,station,empty\n"
    "1,0.5,2020-03-26,2020-03-26T04:00:00,2020-03-26T04:00:00Z,true,a,007,\n"
    '2,1e3,2020-03-27,2020-03-26 04:00,2020-03-26T04:00:00.5+01:00,FALSE,"b,\nc",012,\n'
    ",,,,,,,,\n"
)  # fmt: skip


def test_a_new_table_gets_its_types_from_the_whole_csv_file(tables: Tables, tmp_path: Path) -> None:
    report = take(tables, file(tmp_path, "a.csv", CSV))
    assert (report.rows, report.dropped, report.version) == (3, 0, 0)
    frame = tables.scan("t").collect()
    assert dict(frame.schema) == {
        "n": pl.Int64, "x": pl.Float64, "day": pl.Date, "local": pl.Datetime("us"),
        "utc": pl.Datetime("us", "UTC"),
        "ok": pl.Boolean, "name": pl.String, "station": pl.String, "empty": pl.String,
    }  # fmt: skip
    assert frame.row(0) == (
        1, 0.5, date(2020, 3, 26), datetime(2020, 3, 26, 4), datetime(2020, 3, 26, 4, tzinfo=UTC),  # noqa: DTZ001
        True, "a", "007", None,
    )  # fmt: skip
    assert frame["utc"][1] == datetime(2020, 3, 26, 3, 0, 0, 500000, tzinfo=UTC)
    assert frame["name"][1] == "b,\nc"
    assert frame.row(2) == (None,) * 9


def test_a_type_is_decided_by_every_row(tables: Tables, tmp_path: Path) -> None:
    text = "x\n" + "1\n" * 5000 + "1.5\n"
    take(tables, file(tmp_path, "a.csv", text))
    assert tables.scan("t").collect_schema()["x"] == pl.Float64


@pytest.mark.parametrize("name", ["A.CSV", "a.csv.gz", "a.parquet", "a.PARQUET", "a.jsonl", "a.ndjson", "A.JSONL"])
def test_every_format_gives_the_same_table(tables: Tables, tmp_path: Path, name: str) -> None:
    frame = pl.DataFrame({"k": [1, 2], "x": [0.5, None], "day": [date(2020, 1, 1), None], "s": ["a", "é"]})
    text = frame.write_csv()
    lower = name.lower()
    if lower.endswith("parquet"):
        frame.write_parquet(tmp_path / name)
    elif lower.endswith(".csv"):
        file(tmp_path, name, text)
    elif lower.endswith(".gz"):
        file(tmp_path, name, gzip.compress(text.encode()))
    else:
        frame.write_ndjson(tmp_path / name)
    take(tables, tmp_path / name)
    assert tables.scan("t").collect().equals(frame)
    take(tables, tmp_path / name, identity="again")
    assert tables.scan("t").collect().equals(pl.concat([frame, frame]))


def test_several_files_make_one_version(tables: Tables, tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        file(tmp_path, f"in/{name}.csv", f"v,k\n{name},1\n")
    report = take(tables, tmp_path / "in/*.csv")
    assert [Path(f).name for f in report.files] == ["a.csv", "b.csv", "c.csv"]
    assert tables.version("t") == 0
    assert tables.scan("t").collect()["v"].to_list() == ["a", "b", "c"]


def test_the_same_ingest_is_made_once(tables: Tables, tmp_path: Path) -> None:
    path = file(tmp_path, "a.csv", "k\n1\n1\n")
    first = take(tables, path, key=["k"])
    again = take(tables, path, key=["k"])
    assert (first.rows, first.dropped, first.repeated) == (1, 1, False)
    assert (again.rows, again.dropped, again.repeated, again.version) == (1, 1, True, 0)
    assert tables.scan("t").collect().height == 1


def test_rows_with_a_known_key_are_dropped_and_counted(tables: Tables, tmp_path: Path) -> None:
    take(tables, file(tmp_path, "a.csv", "k,v\n1,a\n2,b\n"), key=["k"], identity="1")
    two = (file(tmp_path, "b.csv", "k,v\n2,x\n3,c\n3,y\n"), file(tmp_path, "c.csv", "v,k\nz,3\nd,4\n"))
    report = take(tables, *two, key=["k"], identity="2")
    assert (report.rows, report.dropped) == (2, 3)
    assert sorted(tables.scan("t").collect().rows()) == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]


def test_files_can_be_merged_or_replace_the_table(tables: Tables, tmp_path: Path) -> None:
    take(tables, file(tmp_path, "a.csv", "k,v\n1,a\n2,b\n"), identity="1")
    report = take(tables, file(tmp_path, "b.csv", "k,v\n2,B\n3,C\n"), key=["k"], mode="merge", identity="2")
    assert (report.rows, report.dropped) == (2, 0)
    assert sorted(tables.scan("t").collect().rows()) == [(1, "a"), (2, "B"), (3, "C")]
    assert take(tables, tmp_path / "b.csv", mode="overwrite", identity="3").rows == 2
    assert tables.scan("t").collect().height == 2


def existing(tables: Tables) -> None:
    base = pl.DataFrame({"k": [1], "x": [0.5], "day": [date(2020, 1, 1)], "ok": [True]})
    tables.write("t", Write("append", base), identity="base", origin={})


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", 'k,x,day,ok\n1,1,2020-01-01,true\n2,"a\nb",2020-01-01,true\n3,1,2020-13-01,true\n',
         ["line 3", "'x'", "Float64", "a\\nb"]),
        ("a.csv", 'k,x,day,ok\n1,"1",2020-01-01,true\n2,1,2020-13-01,true\n3,1,,maybe\n',
         ["line 3", "'day'", "Date", "2020-13-01"]),
        ("a.csv", "k,x,day,ok\n1,1,2020-01-01,maybe\n2,,,no\n", ["line 2", "'ok'", "Boolean", "maybe", "1 more"]),
        ("a.csv", "k,x,day,ok\n1.5,1,2020-01-01,true\n", ["line 2", "'k'", "Int64", "1.5"]),
        ("a.csv", "k,x,day\n1,1,2020-01-01\n", ["'ok'", "Boolean", "no such column"]),
        ("a.csv", "k,x,day,ok,more\n1,1,2020-01-01,true,2\n", ["'more'", "not in the table"]),
        ("a.csv", "k,x,day,ok\n1,1,2020-01-01,true,9\n", ["more fields"]),
        ("a.jsonl", '{"k":1,"x":1,"day":"2020-01-01","ok":true}\n{"k":"2","x":1,"day":null,"ok":true}\n',
         ["'k'", "Int64", "String"]),
        ("a.jsonl", '{"k":1,"x":1,"day":"2020-01-01","ok":true}\n{"k":1,"x":2.5,"day":"soon","ok":true}\n',
         ["line 2", "'day'", "Date", "soon"]),
        ("a.jsonl", '{"k":1,"x":1,"day":"2020-01-01","ok":true}\n{"k":1,\n', ["line 2"]),
        ("a.parquet", b"PAR1 but not really", []),
        ("a.csv.gz", b"no gzip", []),
        ("a.csv", b"", []),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_named_and_nothing_is_written(
    tables: Tables, tmp_path: Path, name: str, text: str | bytes, words: list[str]
) -> None:
    existing(tables)
    good = file(tmp_path, "good.csv", "k,x,day,ok\n7,1,2020-01-01,true\n")
    bad = file(tmp_path, name, text)
    with pytest.raises(TableError) as error:
        take(tables, good, bad)
    for word in [str(bad), *words]:
        assert word in error.value.what
    assert error.value.next
    assert tables.version("t") == 0


def test_the_second_file_decides_too_if_the_table_is_new(tables: Tables, tmp_path: Path) -> None:
    take(tables, file(tmp_path, "a.csv", "k\n1\n"), file(tmp_path, "b.csv", "k\n1.5\n"))
    assert tables.scan("t").collect()["k"].to_list() == [1.0, 1.5]


def test_a_parquet_file_of_another_type_is_refused(tables: Tables, tmp_path: Path) -> None:
    existing(tables)
    frame = pl.DataFrame({"k": ["1"], "x": [1.0], "day": [date(2020, 1, 1)], "ok": [True]})
    frame.write_parquet(tmp_path / "a.parquet")
    with pytest.raises(TableError, match="'k': expected Int64, found String"):
        take(tables, tmp_path / "a.parquet")


def test_times_with_and_without_zone_are_not_mixed(tables: Tables, tmp_path: Path) -> None:
    take(tables, file(tmp_path, "a.csv", "at\n2020-01-01T00:00:00Z\n"), identity="1")
    with pytest.raises(TableError, match="UTC"):
        take(tables, file(tmp_path, "b.csv", "at\n2020-01-01T00:00:00\n"), identity="2")


def test_numbers_in_json_fit_where_they_lose_nothing(tables: Tables, tmp_path: Path) -> None:
    existing(tables)
    text = '{"ok":null,"day":"2020-01-02","x":3,"k":2}\n{"k":3,"x":null,"day":null,"ok":false}\n'
    take(tables, file(tmp_path, "a.jsonl", text))
    assert sorted(tables.scan("t").collect().rows())[1:] == [
        (2, 3.0, date(2020, 1, 2), None),
        (3, None, None, False),
    ]


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        (lambda p: [p], "folder"),
        (lambda p: [p / "none.csv"], "there is no file"),
        (lambda p: [p / "*.csv"], "no file matches"),
        (lambda p: ["http://host/a.csv"], "can't be read"),
        (lambda p: [file(p, "a.xlsx", "")], "format"),
        (lambda p: [file(p, "a.csv", "k\n1\n"), p / "a.csv"], "more than once"),
        (lambda p: [], "nothing"),
    ],
)
def test_a_source_that_can_not_be_meant_is_refused(
    tables: Tables, tmp_path: Path, sources: Callable[[Path], list[Path]], words: str
) -> None:
    with pytest.raises(UsageError, match=words) as error:
        take(tables, *sources(tmp_path))
    assert error.value.next
    assert tables.version("t") is None


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tables: Tables, tmp_path: Path) -> None:
    path = file(tmp_path, "a[1]*.csv", "k\n1\n")
    file(tmp_path, "a1.csv", "k\n2\n")
    assert take(tables, path).files == (str(path),)
    assert tables.scan("t").collect()["k"].to_list() == [1]


cells = st.one_of(
    st.none(), st.integers(-(2**62), 2**62).map(str), st.floats(allow_nan=False).map(str), st.dates().map(str),
    st.datetimes().map(lambda d: d.isoformat()),
    st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=5),
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(values=st.lists(cells, min_size=1, max_size=6))
def test_whatever_a_csv_file_holds_its_own_table_takes_it_again(
    tmp_path_factory: pytest.TempPathFactory, values: list[str | None]
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    tables = Tables(str(folder / "tables"))
    pl.DataFrame({"n": range(len(values)), "x": pl.Series(values, dtype=pl.String)}).write_csv(folder / "a.csv")
    try:
        take(tables, folder / "a.csv", identity="1")
    except TrikkError as error:
        pytest.fail(str(error))
    take(tables, folder / "a.csv", identity="2")
    frame = tables.scan("t").collect()
    assert frame.height == 2 * len(values)
    text = frame["x"].cast(pl.String).to_list()
    assert text[: len(values)] == text[len(values) :]
    missing = [None] if frame.schema["x"] == pl.String else [None, ""]
    assert [v is None for v in text[: len(values)]] == [v in missing for v in values]
