from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.servers.postgres import PostgresServer

from trikk.core.errors import StorageError, UsageError
from trikk.steps.databases.sql_step import read_sql

LOCAL = datetime(2020, 3, 26, 4)  # noqa: DTZ001  # a timestamp without time zone


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    with closing(sqlite3.connect(tmp_path / "a b.db")) as link:
        link.execute("create table t (id integer, name text, x real, raw blob, day date)")
        link.executemany(
            "insert into t values (?, ?, ?, ?, ?)",
            [(1, "a", 0.5, b"\0", "2020-03-26"), (2, None, None, None, None), (3, "c:d", 2.0, b"", "2020-03-27")],
        )
        link.commit()
    return f"sqlite:///{tmp_path / 'a b.db'}"


def test_sqlite_gives_typed_columns_and_nulls(sqlite_url: str) -> None:
    frame = read_sql(sqlite_url, "select * from t where id <= :top order by id", {"top": 2})
    assert dict(frame.schema) == {
        "id": pl.Int64, "name": pl.String, "x": pl.Float64, "raw": pl.Binary, "day": pl.String,
    }  # fmt: skip
    assert frame.rows() == [(1, "a", 0.5, b"\0", "2020-03-26"), (2, None, None, None, None)]


def test_sqlite_compares_days_as_text(sqlite_url: str) -> None:
    frame = read_sql(sqlite_url, "select id from t where day >= :day", {"day": date(2020, 3, 27)})
    assert frame["id"].to_list() == [3]


def test_a_value_is_never_taken_for_sql(sqlite_url: str) -> None:
    evil = "x' or 1=1; drop table t; --"
    assert read_sql(sqlite_url, "select * from t where name = :name", {"name": evil}).height == 0
    assert read_sql(sqlite_url, "select count(*) n from t", {})["n"].item() == 3


def test_sqlite_can_not_be_written_to(sqlite_url: str) -> None:
    with pytest.raises(UsageError, match="readonly"):
        read_sql(sqlite_url, "insert into t (id) values (9)", {})
    assert read_sql(sqlite_url, "select count(*) n from t", {})["n"].item() == 3


def test_an_empty_result_keeps_its_columns(sqlite_url: str) -> None:
    frame = read_sql(sqlite_url, "select id, x from t where false", {})
    assert frame.shape == (0, 2)
    assert frame.columns == ["id", "x"]


def test_whole_numbers_among_fractions_are_fractions(sqlite_url: str) -> None:
    frame = read_sql(sqlite_url, "select 1 as v union all select 0.5 order by v", {})
    assert frame["v"].to_list() == [0.5, 1.0]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("select 1 a, 'x' b, 2 a", "two columns 'a'"),
        ("select 1 v union all select 'x'", "mixes int and str"),
        ("select * from missing", "no such table"),
        ("selec 1", "syntax error"),
    ],
)
def test_a_query_that_can_not_work_is_a_usage_error(sqlite_url: str, query: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_sql(sqlite_url, query, {})


def test_a_missing_file_is_named_by_its_address(tmp_path: Path) -> None:
    for kind in ("sqlite", "duckdb"):
        with pytest.raises(UsageError) as error:
            read_sql(f"{kind}:///{tmp_path}/none.db", "select 1", {})
        assert "none.db" in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def duckdb_url(tmp_path: Path) -> str:
    duckdb = pytest.importorskip("duckdb")
    with closing(duckdb.connect(str(tmp_path / "w.duckdb"))) as link:
        link.execute(
            "create table t (id int, moment timestamptz, day date, price decimal(10, 2), ok boolean, big hugeint)"
        )
        link.execute("insert into t values (1, '2020-03-26 04:00:00+00', '2020-03-26', 1.25, true, 7)")
        link.execute("insert into t values (2, null, null, null, null, null)")
    return f"duckdb:///{tmp_path / 'w.duckdb'}"


def test_duckdb_gives_its_own_types_and_nulls(duckdb_url: str) -> None:
    frame = read_sql(duckdb_url, "select * from t where id >= :least order by id", {"least": 1})
    assert frame.schema["id"] == pl.Int32
    assert frame.schema["day"] == pl.Date
    assert frame.schema["price"] == pl.Decimal(10, 2)
    assert frame.schema["ok"] == pl.Boolean
    assert frame.schema["big"] == pl.Int128
    assert frame["moment"].dt.convert_time_zone("UTC")[0] == datetime(2020, 3, 26, 4, tzinfo=UTC)
    assert frame.row(0)[2:] == (date(2020, 3, 26), Decimal("1.25"), True, 7)
    assert frame.row(1)[1:] == (None, None, None, None, None)
    empty = read_sql(duckdb_url, "select * from t where id > :most", {"most": 9})
    assert empty.schema == frame.schema


def test_duckdb_can_not_be_written_to(duckdb_url: str) -> None:
    with pytest.raises(UsageError, match="read-only"):
        read_sql(duckdb_url, "insert into t (id) values (9)", {})
    with pytest.raises(UsageError, match="missing"):
        read_sql(duckdb_url, "select * from missing", {})
    with pytest.raises(UsageError, match="interval"):
        read_sql(duckdb_url, "select interval 1 day as i", {})


def test_duckdb_in_memory_reads_files(tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    pl.DataFrame({"a": [1, 2]}).write_parquet(tmp_path / "f.parquet")
    frame = read_sql(
        "duckdb://", "select sum(a) s from read_parquet(:path)", {"path": str(tmp_path / "f.parquet")}
    )
    assert frame["s"].item() == 3


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> str:
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(postgres_server.url, autocommit=True) as link:
        link.execute("drop table if exists sql_source")
        link.execute(
            "create table sql_source (id bigint, small smallint, at timestamptz, local timestamp, day date,"
            " price numeric(10, 2), ratio numeric, ok boolean, raw bytea, doc jsonb, tags text[], who uuid,"
            " clock time, took interval, f real)"
        )
        link.execute(
            "insert into sql_source values (1, 2, '2020-03-26 04:00:00+01', '2020-03-26 04:00', '2020-03-26',"
            " 1.25, 0.5, true, '\\x00ff', '{\"a\": 1}', '{x,null}', '00000000-0000-0000-0000-000000000001',"
            " '10:00', '1 day', 0.5)"
        )
        link.execute("insert into sql_source (id) values (2)")
    monkeypatch.setenv("TRIKK_TEST_PASSWORD", postgres_server.password)
    return postgres_server.url.replace(postgres_server.password, "${TRIKK_TEST_PASSWORD}")


def test_postgresql_gives_its_own_types_and_nulls(postgres_url: str) -> None:
    frame = read_sql(postgres_url, "select * from sql_source where id >= :least order by id", {"least": 1})
    expected: dict[str, Any] = {
        "id": pl.Int64, "small": pl.Int16, "at": pl.Datetime("us", "UTC"), "local": pl.Datetime("us"),
        "day": pl.Date, "price": pl.Decimal(10, 2), "ratio": pl.Float64, "ok": pl.Boolean, "raw": pl.Binary,
        "doc": pl.String, "tags": pl.List(pl.String), "who": pl.String, "clock": pl.Time,
        "took": pl.Duration("us"), "f": pl.Float32,
    }  # fmt: skip
    assert dict(frame.schema) == expected
    assert frame.row(0) == (
        1, 2, datetime(2020, 3, 26, 3, tzinfo=UTC), LOCAL, date(2020, 3, 26), Decimal("1.25"),
        0.5, True, b"\x00\xff", '{"a": 1}', ["x", None], "00000000-0000-0000-0000-000000000001", time(10),
        timedelta(days=1), 0.5,
    )  # fmt: skip
    assert frame.row(1)[1:] == (None,) * 14
    empty = read_sql(postgres_url, "select * from sql_source where id > 9", {})
    assert empty.schema == frame.schema
    assert empty.height == 0


def test_postgresql_binds_values_beside_casts_literals_and_per_cent(postgres_url: str) -> None:
    query = "select :a::text as a, ':b %' as b, 5 % 3 as c, :day::date as day -- :e"
    frame = read_sql(postgres_url, query, {"a": "x'; drop table sql_source; --", "day": date(2020, 3, 26)})
    assert frame.row(0) == ("x'; drop table sql_source; --", ":b %", 2, date(2020, 3, 26))


def test_postgresql_can_not_be_written_to(postgres_url: str) -> None:
    with pytest.raises(UsageError, match="read-only"):
        read_sql(postgres_url, "insert into sql_source (id) values (:id) returning id", {"id": 9})
    with pytest.raises(UsageError, match="does not exist"):
        read_sql(postgres_url, "select * from missing_table", {})


def test_no_secret_is_in_any_error(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "hunter-2@/%"
    monkeypatch.setenv("TRIKK_TEST_PASSWORD", secret)
    with pytest.raises(StorageError) as error:
        read_sql(postgres_url, "select 1", {})
    chain: BaseException | None = error.value
    while chain is not None:
        assert "hunter" not in str(chain)
        chain = chain.__cause__
    assert error.value.__suppress_context__


def test_a_server_that_is_away_is_a_storage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.setenv("P", "hunter2")
    for kind in ("postgresql", "redshift"):
        with pytest.raises(StorageError) as error:
            read_sql(f"{kind}://u:${{P}}@127.0.0.1:1/db", "select 1", {})
        assert "hunter2" not in str(error.value)
        assert error.value.next


def test_redshift_speaks_the_same_protocol(postgres_url: str) -> None:
    url = postgres_url.replace("postgresql://", "redshift://")
    assert read_sql(url, "select :x::int + 1 as y", {"x": 41})["y"].item() == 42
