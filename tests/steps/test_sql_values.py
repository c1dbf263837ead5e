"""Values on their way from a database: the right one in the right type, in any zone, or a refusal."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time as time_module
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.servers.postgres import PostgresServer

from trikk.core.errors import UsageError
from trikk.steps.databases.sql_step import read_sql

ZONES = ("Asia/Tokyo", "America/St_Johns")
MOMENTS = """
select timestamptz '2020-03-26 23:30:00+00' as at,
    date_trunc('day', timestamptz '2020-03-26 23:30:00+00') as day_at,
    cast(timestamptz '2020-03-26 23:30:00+00' as date) as day, cast('2020-03-26 01:00' as timestamptz) as plain,
    timestamp '2020-03-26 04:00:00' as local, date '2020-03-26' as d, time '04:00:01.5' as t,
    cast(timestamptz '2020-03-26 23:30:00+00' as varchar) as text, :moment as given
"""
MOMENTS_READ = (
    datetime(2020, 3, 26, 23, 30, tzinfo=UTC),
    datetime(2020, 3, 26, tzinfo=UTC),
    date(2020, 3, 26),
    datetime(2020, 3, 26, 1, tzinfo=UTC),
    datetime(2020, 3, 26, 4),  # noqa: DTZ001
    date(2020, 3, 26),
    time(4, 0, 1, 500_000),
    "2020-03-26 23:30:00+00",
    datetime(2020, 3, 26, 12, tzinfo=UTC),
)
PROGRAM = """
import json, sys, datetime
from trikk.steps.databases.sql_step import read_sql
given = {"moment": datetime.datetime(2020, 3, 26, 14, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))}
frame = read_sql(sys.argv[1], sys.argv[2], given)
print(json.dumps([[str(t) for t in frame.dtypes], repr(frame.row(0))]))
"""


def read_in(zone: str, url: str, query: str) -> Any:
    """Types and values as a process whose machine is in that zone reads them."""
    command = [sys.executable, "-c", PROGRAM, url, query]
    env = os.environ | {"TZ": zone, "PGTZ": zone, "PGDATESTYLE": "German"}
    return json.loads(subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout)


def same_in_zones(url: str, zones: Sequence[str] = ZONES) -> None:
    wanted = read_sql(url, MOMENTS, {"moment": datetime(2020, 3, 26, 12, tzinfo=UTC)})
    assert wanted.row(0) == MOMENTS_READ
    assert wanted.schema["at"] == wanted.schema["day_at"] == pl.Datetime("us", "UTC")
    for zone in zones:
        assert read_in(zone, url, MOMENTS) == [[str(t) for t in wanted.dtypes], repr(wanted.row(0))]


def test_a_duckdb_session_is_in_utc_whatever_the_machine_is_in() -> None:
    pytest.importorskip("duckdb")
    same_in_zones("duckdb://")


def test_a_postgresql_session_is_in_utc_whatever_the_machine_is_in(postgres_url: str) -> None:
    same_in_zones(postgres_url)
    same_in_zones(postgres_url.replace("postgresql://", "redshift://"), ZONES[:1])


def test_postgresql_floats_have_all_digits_whatever_the_session_begins_with(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c extra_float_digits=0")
    for url in (postgres_url, postgres_url.replace("postgresql://", "redshift://")):
        assert one(url, "0.1::float8 + 0.2::float8") == (pl.Float64(), 0.1 + 0.2)
        assert one(url, "array[1e22::float8 / 3]") == (pl.List(pl.Float64), [1e22 / 3])


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> str:
    pytest.importorskip("psycopg")
    monkeypatch.setenv("TRIKK_TEST_PASSWORD", postgres_server.password)
    return postgres_server.url.replace(postgres_server.password, "${TRIKK_TEST_PASSWORD}")


def one(url: str, expression: str) -> tuple[Any, Any]:
    """Type and value of an expression."""
    series = read_sql(url, f"select {expression} as v")["v"]
    value = series[0]
    return series.dtype, value.to_list() if isinstance(value, pl.Series) else value


def refused(url: str, expression: str) -> str:
    with pytest.raises(UsageError) as caught:
        read_sql(url, f"select 1 as a, {expression} as v")
    assert "'v'" in caught.value.what, caught.value.what
    assert caught.value.next
    return f"{caught.value.what} / {caught.value.next}"


MOST = 2**127 - 1
ENUM = pl.Enum(["low", "mid", "high"])
DUCKDB: list[tuple[str, Any, Any]] = [
    (f"{MOST}::hugeint", pl.Int128(), MOST),
    (f"{-MOST}::hugeint", pl.Int128(), -MOST),
    (f"{MOST}::uhugeint", pl.Int128(), MOST),
    ("sum(9007199254740993)", pl.Int128(), 9007199254740993),
    ("[5::hugeint, null]", pl.List(pl.Int128), [5, None]),
    ("{'a': 1, 'b': [9007199254740993::hugeint]}", pl.Struct({"a": pl.Int32, "b": pl.List(pl.Int128)}),
     {"a": 1, "b": [9007199254740993]}),
    ("18446744073709551615::ubigint", pl.UInt64(), 2**64 - 1),
    ("'mid'::enum('low', 'mid', 'high')", ENUM, "mid"),
    ("['mid'::enum('low', 'mid', 'high')]", pl.List(ENUM), ["mid"]),
    ("12345678901234567890123456789.123456789::decimal(38, 9)", pl.Decimal(38, 9),
     Decimal("12345678901234567890123456789.123456789")),
    ("map {'a': 1::hugeint}", pl.List(pl.Struct({"key": pl.String, "value": pl.Int128})),
     [{"key": "a", "value": 1}]),
    ("[1, 2]::int[2]", pl.Array(pl.Int32, 2), [1, 2]),
    ("'00000000-0000-0000-0000-000000000001'::uuid", pl.String(), "00000000-0000-0000-0000-000000000001"),
    ("timestamp_ns '2020-03-26 04:00:00.123456789'::varchar", pl.String(), "2020-03-26 04:00:00.123456789"),
    ("date '9999-12-31'", pl.Date(), date(9999, 12, 31)),
    ("timestamp '9999-12-31 23:59:59.999999'", pl.Datetime("us"), datetime(9999, 12, 31, 23, 59, 59, 999_999)),  # noqa: DTZ001
    ("timestamp_ms '0001-01-01 00:00:00'", pl.Datetime("ms"), datetime(1, 1, 1)),  # noqa: DTZ001
    ("[time '23:59:59']", pl.List(pl.Time), [time(23, 59, 59)]),
    ("time '23:59:59.999999'", pl.Time(), time(23, 59, 59, 999_999)),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "dtype", "value"), DUCKDB)
def test_duckdb_values_keep_their_type_and_all_digits(expression: str, dtype: Any, value: Any) -> None:
    pytest.importorskip("duckdb")
    assert one("duckdb://", expression) == (dtype, value)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (f"{2**127}::uhugeint", "VARCHAR"),
        (f"{2**128 - 1}::uhugeint", "VARCHAR"),
        ("[5::uhugeint]", "HUGEINT"),
        ("interval 1 month", "epoch"),
        ("[interval 1 day]", "epoch"),
        ("timetz '04:00:00+02'", "CAST"),
        ("'101'::bit", "VARCHAR"),
        ("1::bignum", "VARCHAR"),
        ("union_value(num := 2)", "UNION"),
        ("{'a': 1}::variant", "VARCHAR"),
        ("time '24:00:00'", "24:00"),
        ("'infinity'::date", "infinite"),
        ("'-infinity'::timestamp", "infinite"),
        ("'infinity'::timestamp_ns", "infinite"),
        ("'infinity'::timestamptz", "infinite"),
        ("[null, 'infinity'::date]", "infinite"),
        ("{'a': ['-infinity'::timestamptz]}", "infinite"),
        ("[time '24:00:00']", "24:00"),
        ("date '0001-01-01 (BC)'", "years 1 to 9999"),
        ("timestamp '10000-01-01 00:00:00'", "years 1 to 9999"),
    ],
)
def test_what_no_frame_can_hold_of_duckdb_is_refused_by_column(expression: str, words: str) -> None:
    pytest.importorskip("duckdb")
    assert words in refused("duckdb://", expression)


POSTGRES: list[tuple[str, Any, Any]] = [
    ("0.1::numeric", pl.Float64(), 0.1),
    ("9007199254740992::numeric", pl.Float64(), 2.0**53),
    ("'infinity'::numeric", pl.Float64(), float("inf")),
    ("array[1.5, null]::numeric[]", pl.List(pl.Float64), [1.5, None]),
    ("array['1 day'::interval]", pl.List(pl.Duration("us")), [timedelta(days=1)]),
    ("array['00000000-0000-0000-0000-000000000001'::uuid]", pl.String(), "{00000000-0000-0000-0000-000000000001}"),
    ("'-1 day 02:00:00'::interval", pl.Duration("us"), timedelta(days=-1, hours=2)),
    ("12.34::money", pl.String(), "$12.34"),
    ("'[1,10)'::int4range", pl.String(), "[1,10)"),
    ("'10.0.0.0/8'::inet", pl.String(), "10.0.0.0/8"),
    ("'{\"a\": 1.10, \"b\": 12345678901234567890}'::jsonb", pl.String(), '{"a": 1.10, "b": 12345678901234567890}'),
    ("array['{\"a\": 1}'::jsonb]", pl.String(), '{"{\\"a\\": 1}"}'),
    ("'\\x00ff'::bytea", pl.Binary(), b"\x00\xff"),
    ("'101'::bit(3)", pl.String(), "101"),
    ("'04:00:00+02'::timetz", pl.String(), "04:00:00+02"),
    ("'ab'::char(4)", pl.String(), "ab  "),
    ("row(1, 'a b')", pl.String(), '(1,"a b")'),
    ("'{1,2}'::oid[]", pl.String(), "{1,2}"),
    ("array['\\x00ff'::bytea]", pl.List(pl.Binary), [b"\x00\xff"]),
    ("'{2024-05-01}'::date[]", pl.List(pl.Date), [date(2024, 5, 1)]),
    ("null", pl.String(), None),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "dtype", "value"), POSTGRES)
def test_postgresql_values_are_right_or_the_server_s_text(
    postgres_url: str, expression: str, dtype: Any, value: Any
) -> None:
    assert one(postgres_url, expression) == (dtype, value)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("9007199254740993::numeric", "bigint"),
        ("sum(9007199254740993::bigint)", "numeric(38, 0)"),
        ("array[9007199254740993::numeric]", "numeric(38, 0)"),
        ("'NaN'::numeric(10, 2)", "float8"),
        ("'1 month'::interval", "no length"),
        ("array['1 year'::interval]", "no length"),
        ("'infinity'::timestamptz", '"v"::text'),
        ("'-infinity'::date", '"v"::text'),
        ("'0044-03-15 BC'::date", '"v"::text'),
        ("'24:00'::time", '"v"::text'),
        ("array[array[1, 2], array[3, 4]]", "dimensions"),
    ],
)
def test_what_no_frame_can_hold_of_postgresql_is_refused_by_column(
    postgres_url: str, expression: str, words: str
) -> None:
    assert words in refused(postgres_url, expression)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    with closing(sqlite3.connect(tmp_path / "a.db")) as link:
        link.execute("create table t (v integer)")
        link.execute("insert into t values (9223372036854775808)")
        link.commit()
    return f"sqlite:///{tmp_path / 'a.db'}"


def test_sqlite_values_are_right_or_refused(sqlite_url: str) -> None:
    assert one(sqlite_url, "9007199254740993") == (pl.Int64(), 9007199254740993)
    assert one(sqlite_url, "(select v from t)") == (pl.Float64(), 2.0**63)
    assert one(sqlite_url, "true") == (pl.Int64(), 1)
    assert read_sql(sqlite_url, "select 9007199254740992 as v union all select 0.5 order by v")["v"].to_list() == [
        0.5,
        2.0**53,
    ]
    with pytest.raises(UsageError, match="'v' holds 9007199254740993"):
        read_sql(sqlite_url, "select 9007199254740993 as v union all select 0.5")
    assert "BLOB" in refused(sqlite_url, "cast(x'ff' as text)")
    with pytest.raises(UsageError):
        read_sql(sqlite_url, "select :x as v", {"x": 2**63})
    assert one(sqlite_url, "'utc'") == (pl.String(), "utc")


def test_a_sqlite_query_is_in_utc_however_it_asks_for_the_machine_s_zone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as link:
        link.execute("create view local as select datetime('2024-04-07 12:00:00', 'localtime') as v")
    query = """
        select datetime('2024-04-07 12:00:00', 'localtime') as a,
            datetime(trim('2024-04-07 12:00:00'), 'utc') as b,
            "datetime"('2024-04-07 12:00:00', 'local' || 'time') as c, datetime('2024-04-07 12:00:00', :zone) as d,
            (select v from local) as e
    """
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time_module.tzset()
    try:
        found = read_sql(f"sqlite:///{tmp_path / 'a.db'}", query, {"zone": "localtime"})
        assert set(found.row(0)) == {"2024-04-07 12:00:00"}
        assert os.environ["TZ"] == "Pacific/Auckland"
        assert time_module.localtime(0).tm_hour == 12  # the process has its own zone again
        with pytest.raises(UsageError):
            read_sql(f"sqlite:///{tmp_path / 'a.db'}", "select nothing")
        assert time_module.localtime(0).tm_hour == 12
    finally:
        monkeypatch.undo()
        time_module.tzset()


def test_a_name_that_is_not_plain_is_quoted_in_what_to_write() -> None:
    pytest.importorskip("duckdb")
    for name in ("my bits", "Bits", "order", 'b"b'):
        quoted = '"' + name.replace('"', '""') + '"'
        with pytest.raises(UsageError) as caught:
            read_sql("duckdb://", f"select '101'::bit as {quoted}")
        query = str(caught.value.next).partition(": ")[2]
        assert read_sql("duckdb://", f"select {query} from (select '101'::bit as {quoted})").rows() == [("101",)]
