from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from tests.servers.postgres import PostgresServer

from trikk import Retry, pipeline, step, write_sql
from trikk.core.errors import PermanentError, StorageError, TrikkError, UsageError
from trikk.steps.databases.database_url import resolve
from trikk.steps.databases.sql_columns import Column
from trikk.steps.databases.sql_step import read_sql
from trikk.steps.databases.sql_write import WRITES
from trikk.steps.databases.write_targets import TARGETS, Duckdb, Target
from trikk.testing import run_inline

KINDS = ["sqlite", "duckdb", "postgresql", "redshift"]
LOCAL = datetime(2020, 3, 26, 4)  # noqa: DTZ001  # a timestamp without time zone


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database: a file, or a database of its own; Redshift's SQL goes to PostgreSQL."""
    return address(request.param, request, tmp_path, monkeypatch)


def address(kind: str, request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if kind in ("sqlite", "duckdb"):
        return f"{kind}:///{folder}/a b.db"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    monkeypatch.setenv("DATABASE_PASSWORD", server.password)
    import psycopg

    name = f"s{os.urandom(6).hex()}"
    with psycopg.connect(server.url, autocommit=True) as link:
        link.execute(f"create database {name}")  # type: ignore[arg-type]
    return f"{kind}://trikk:${{DATABASE_PASSWORD}}@127.0.0.1:{server.port}/{name}"


def rows(*numbers: int, day: int = 1) -> pl.DataFrame:
    return pl.DataFrame({"day": date(2026, 1, day), "sensor": [f"s{n}" for n in numbers], "n": numbers})


def content(url: str, table: str = "summary", order: str = "1, 2, 3") -> list[tuple[Any, ...]]:
    listed = read_sql(url, f"select * from {table} order by {order}").rows()
    return [tuple(str(v) if isinstance(v, date) else v for v in row) for row in listed]


def test_each_mode_does_what_it_says_and_each_write_once(url: str) -> None:
    first = write_sql(rows(1, 2), url, "summary", ["day", "sensor"], identity="r1/write")
    assert first == {"table": "summary", "mode": "merge", "rows": 2, "repeated": False}
    again = write_sql(rows(1, 2), url, "summary", ["day", "sensor"], identity="r1/write")
    assert again == first | {"repeated": True}
    with pytest.raises(PermanentError, match="other rows were written as r1/write"):
        write_sql(rows(1, 3), url, "summary", ["day", "sensor"], identity="r1/write")
    changed = rows(2, 3).with_columns(n=pl.col("n") * 10)
    write_sql(changed, url, "summary", ["day", "sensor"])
    day = "2026-01-01"
    assert content(url) == [(day, "s1", 1), (day, "s2", 20), (day, "s3", 30)]
    write_sql(rows(9, day=2), url, "summary")
    assert content(url)[-1] == ("2026-01-02", "s9", 9)
    slice_of = {"day": date(2026, 1, 1)}
    write_sql(rows(5), url, "summary", mode="overwrite", where=slice_of, identity="o")
    assert content(url) == [(day, "s5", 5), ("2026-01-02", "s9", 9)]
    write_sql(rows(), url, "summary", mode="overwrite", where=slice_of)
    assert content(url) == [("2026-01-02", "s9", 9)]
    write_sql(rows(7), url, "summary", mode="overwrite")
    assert content(url) == [(day, "s7", 7)]
    assert read_sql(url, "select count(*) as n from trikk_writes")["n"].item() == 6


def test_values_come_back_as_they_were(url: str) -> None:
    evil = 'x"; drop table "summary"; -- %s %'
    frame = pl.DataFrame(
        {
            "id": [1, 2, 3],
            evil: ["", None, "tab\t'\\.\n\\N é"],
            "x": [0.1, None, -1e300],
            "yes": [True, False, None],
            "day": [date(2020, 2, 29), None, date(1, 1, 1)],
            "at": [datetime(2020, 3, 26, 4, tzinfo=UTC), None, datetime(2020, 3, 26, 4, 5, 6, 789, tzinfo=UTC)],
            "local": [LOCAL, None, LOCAL],
            "price": pl.Series([Decimal("1.50"), None, Decimal("-9999.99")], dtype=pl.Decimal(6, 2)),
            "small": pl.Series([1, None, -128], dtype=pl.Int8),
            "kind": pl.Series(["a", "b", None], dtype=pl.Categorical),
        }
    )
    is_sqlite = url.startswith("sqlite")
    if not url.startswith("redshift"):
        frame = frame.with_columns(raw=pl.Series([b"\0\xff", None, b""]))
    for key in (None, "id"):
        table = f'we"ird {key}'
        write_sql(frame, url, table, key)
        back = read_sql(url, f'select * from "we""ird {key}" order by id')
        assert back.columns == frame.columns
        expected = frame.with_columns(pl.col("kind").cast(pl.String)).rows()
        if is_sqlite:
            texts = {"2020-02-29": date(2020, 2, 29), "0001-01-01": date(1, 1, 1), "2020-03-26 04:00:00": LOCAL}
            texts |= {str(row[5]): row[5] for row in expected} | {
                "1.50": expected[0][7],
                "-9999.99": expected[2][7],
            }
            assert [tuple(texts.get(v, v) if v.__hash__ else v for v in row) for row in back.rows()] == expected
        else:
            assert back.rows() == expected


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        (pl.Series("n", [2**31]), "its column 'n' is"),
        (pl.Series("n", [0.5]), "its column 'n' is"),
        (pl.Series("n", ["1"]), "its column 'n' is"),
        (pl.Series("other", [1]), "it has no column 'other'"),
        (pl.Series("text", ["longer than ten"]), "its column 'text' is"),
        (pl.Series("price", [Decimal("1.005")]), "its column 'price' is"),
        (pl.Series("seen", [LOCAL]), "its column 'seen' is"),
        (pl.Series("n", [None], dtype=pl.Int64), "needs a column 'must'"),
        (pl.Series("l", [[1]]), "has no column for"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    column: pl.Series,
    problem: str,
) -> None:
    for kind in ("duckdb", "postgresql"):
        url = address(kind, request, tmp_path, monkeypatch)
        execute(
            url,
            "create table t (must integer not null, n integer, text varchar(10), price numeric(5, 2),"
            " seen timestamp with time zone, extra integer default 7)",
        )
        if column.name == "text" and kind == "duckdb":
            continue  # which does not keep the length
        table = "new" if column.name == "l" else "t"
        frame = pl.DataFrame([column] if "must" in problem else [pl.Series("must", [1]), column])
        with pytest.raises(PermanentError, match=problem) as error:
            write_sql(frame, url, table)
        assert "nothing was written" in str(error.value)
        write_sql(
            pl.DataFrame({"must": [2], "price": [Decimal("1.500")], "n": pl.Series([None], dtype=pl.String)}),
            url,
            "t",
        )
        assert content(url, "t", "must") == [(2, None, None, Decimal("1.50"), None, 7)]


def execute(url: str, statement: str) -> None:
    from trikk.steps.databases.database_url import resolve
    from trikk.steps.databases.write_targets import TARGETS

    target = TARGETS[url.partition(":")[0]](resolve(url))
    target.execute(statement)
    target.close()


def test_a_database_that_refuses_half_a_write_has_nothing_of_it(url: str) -> None:
    execute(url, "create table t (n bigint check (n < 150000))")
    with pytest.raises(PermanentError, match="refuses the rows") as error:
        write_sql(pl.DataFrame({"n": range(160_000 if "postgres" in url else 150_001)}), url, "t", identity="w")
    assert "nothing was written" in str(error.value)
    assert content(url, "t", "n") == []
    assert write_sql(pl.DataFrame({"n": [1]}), url, "t", identity="w")["repeated"] is False


def test_a_merge_keeps_other_columns_and_refuses_keys_that_tell_nothing_apart(url: str) -> None:
    execute(url, "create table t (k integer, a integer, b integer)")
    execute(url, "insert into t values (1, 1, 1), (2, 2, 2)")
    write_sql(pl.DataFrame({"k": [2, 3], "a": [20, 30]}), url, "t", "k")
    assert content(url, "t", "k") == [(1, 1, 1), (2, 20, 2), (3, 30, None)]
    write_sql(pl.DataFrame({"k": [3, 4]}), url, "t", "k")
    assert content(url, "t", "k")[2:] == [(3, 30, None), (4, None, None)]
    execute(url, "insert into t values (1, 5, 5)")
    with pytest.raises(PermanentError, match="several rows for one key"):
        write_sql(pl.DataFrame({"k": [1, 9], "a": [0, 0]}), url, "t", "k")
    assert len(content(url, "t", "k")) == 5
    for frame, why in (
        (pl.DataFrame({"k": [1, 1]}), "more than once"),
        (pl.DataFrame({"k": [None, 1]}), "have no key"),
        (pl.DataFrame({"a": [1]}), "not in the rows"),
        (pl.DataFrame({"k": [0.5]}), "can't identify"),
    ):
        with pytest.raises(PermanentError, match=why):
            write_sql(frame, url, "t", "k")


@pytest.mark.parametrize(
    ("table", "options"),
    [
        ("a.b.c", {}), ("", {}), ("a\0b", {}), ("x" * 64, {}), ("trikk_writes", {}), ("temp.t", {}),
        ("t", {"mode": "upsert"}), ("t", {"mode": "merge"}), ("t", {"mode": "append", "key": "n"}),
        ("t", {"where": {"n": 1}}), ("t", {"mode": "overwrite", "where": {"none": 1}}),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_before_the_database_is_asked(table: str, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        write_sql(pl.DataFrame({"n": [1]}), "sqlite:////no/such/folder/x.db", table, **options)


def test_nan_is_no_null_in_sqlite(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="NaN"):
        write_sql(pl.DataFrame({"x": [1.0, float("nan")]}), f"sqlite:///{tmp_path}/x.db", "t")


def test_a_run_writes_once_and_a_replay_not_at_all(url: str) -> None:
    @step
    def counted() -> pl.DataFrame:
        return rows(1, 2)

    @pipeline
    def nightly() -> None:
        write_sql(counted(), url, "summary", ["day", "sensor"], retry=Retry(1))

    run = run_inline(nightly)
    assert run.state == "succeeded", run.error
    assert run.output("write_sql")["rows"] == 2
    assert len(content(url)) == 2
    assert os.environ.get("DATABASE_PASSWORD", "no password") not in repr(run.events)


def test_attempts_at_once_write_once_also_where_each_would_make_the_table(url: str) -> None:
    def attempt(number: int) -> bool:
        for _ in range(20):
            try:
                return bool(write_sql(rows(number % 2 + 1), url, "summary", identity=f"w{number % 2}")["repeated"])
            except StorageError:
                time.sleep(0.05)
        raise AssertionError("it never went well")

    with ThreadPoolExecutor(4) as pool:
        repeated = list(pool.map(attempt, range(8)))
    assert sorted(repeated) == [False, False, *[True] * 6]
    assert [row[2] for row in content(url)] == [1, 2]


def test_an_identity_that_another_transaction_enters_meanwhile_in_duckdb_is_worth_another_attempt(
    tmp_path: Path,
) -> None:
    url = f"duckdb:///{tmp_path}/warehouse.db"
    write_sql(rows(1), url, "summary", identity="w0")
    first, second = Duckdb(resolve(url)), Duckdb(resolve(url))
    entry = {"identity": "w1", "target": "summary", "digest": "d", "written": "now"}
    second.begin()
    assert second.rows(f"SELECT * FROM {WRITES}", [])  # from now on it sees nothing newer
    first.begin()
    assert first.claim(WRITES, entry)
    first.commit()
    with pytest.raises(duckdb.Error) as refusal:
        second.claim(WRITES, entry)
    assert isinstance(second.failure(refusal.value), StorageError)
    first.close()
    second.close()


def test_a_table_that_another_makes_after_the_look_is_found(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target = TARGETS[url.partition("://")[0]]
    columns, looks = target.columns, ["summary"]

    def outdated(self: Target, table: Sequence[str]) -> dict[str, Column]:
        if table[-1] in looks:
            looks.remove(table[-1])
            return {}
        return columns(self, table)

    write_sql(rows(1), url, "summary", identity="r1/write")
    monkeypatch.setattr(target, "columns", outdated)
    assert write_sql(rows(2), url, "summary", identity="r2/write")["repeated"] is False
    assert looks == []
    assert [row[2] for row in content(url)] == [1, 2]


def test_an_identity_that_another_enters_before_the_commit_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, commit = f"duckdb:///{tmp_path}/a.db", Duckdb.commit  # the others wait for whoever has entered it

    def later(self: Duckdb) -> None:
        monkeypatch.setattr(Duckdb, "commit", commit)
        write_sql(rows(1), url, "summary", identity="r1/write")
        commit(self)

    write_sql(rows(0), url, "summary", identity="r0/write")
    monkeypatch.setattr(Duckdb, "commit", later)
    assert write_sql(rows(1), url, "summary", identity="r1/write")["repeated"] is True
    assert [row[2] for row in content(url)] == [0, 1]


WRITER = """
import sys, polars as pl
from trikk import write_sql
print("ready", flush=True)
write_sql(pl.DataFrame({"k": range(30_000), "run": 1}), sys.argv[1], "t", "k", identity="r1/write")
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_write_that_is_killed_anywhere_is_there_once_or_not_at_all(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = address(kind, request, tmp_path, monkeypatch)
    began = time.monotonic()
    write_sql(pl.DataFrame({"k": range(30_000), "run": 0}), url, "t", "k", identity="r0/write")
    chance, seconds, kills = random.Random(kind), time.monotonic() - began, 0
    for attempt in range(4):
        process = subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if attempt < 3:
            threading.Timer(chance.random() * seconds, process.send_signal, [signal.SIGKILL]).start()
        process.communicate(timeout=60)
        kills += process.returncode == -signal.SIGKILL
        runs = settled(lambda: read_sql(url, "select run, count(*) as n from t group by run").rows())
        # All rows are of one write: the one before as long as this one's have not all come.
        assert runs in ([(0, 30_000)], [(1, 30_000)])
    assert runs == [(1, 30_000)]
    assert kills


def settled(read: Callable[[], Any]) -> Any:
    """What a database says when it has seen that its client is gone."""
    for _ in range(100):
        try:
            return read()
        except TrikkError:
            time.sleep(0.05)
    return read()
