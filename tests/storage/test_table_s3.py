from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from tests.servers.s3 import S3Server
from tests.storage.test_table_processes import WRITER, race, start
from tests.storage.test_table_rewriting import FEW

from trikk.core.errors import TableError, TrikkError, UnknownName
from trikk.storage.ingest.files_to_table import ingest
from trikk.storage.tables.versioned_tables import Tables, Write

TWO = pl.DataFrame({"k": [1, 2], "v": ["a", "b"]})


@pytest.fixture
def root(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    return f"s3://{s3_server.new_bucket()}/lake/tables"


def test_a_table_in_a_bucket_is_written_once_read_back_and_described(root: str) -> None:
    tables = Tables(root)
    assert tables.version("t") is None
    assert tables.names() == []
    with pytest.raises(UnknownName):
        tables.scan("t")
    for _ in range(2):
        made = tables.write("t", Write("append", TWO), identity="1", origin={"run": "r"})
    assert (made.version, made.repeated) == (0, True)
    merge = Write("merge", pl.DataFrame({"k": [2, 3], "v": ["B", "C"]}), ("k",))
    assert tables.write("t", merge, identity="2", origin={}).updated == 1
    assert tables.write("t", merge, identity="2", origin={}).repeated
    assert sorted(tables.scan("t").collect().rows()) == [(1, "a"), (2, "B"), (3, "C")]
    assert sorted(tables.scan("t", 0).collect().rows()) == TWO.rows()
    assert sorted(tables.view("t", 0, [merge]).collect().rows()) == [(1, "a"), (2, "B"), (3, "C")]
    assert tables.names() == ["t"]
    assert [w.identity for w in tables.describe("t").history] == ["2", "1"]
    with pytest.raises(TableError, match="no version"):
        tables.scan("t", 5)


def test_options_work_in_the_place_of_the_environment(s3_server: S3Server) -> None:
    options = {name.lower(): value for name, value in s3_server.environment().items()}
    tables = Tables(f"s3://{s3_server.new_bucket()}/x", options)
    tables.write("t", Write("append", TWO), identity="1", origin={})
    assert tables.scan("t").collect().equals(TWO)
    assert tables.names() == ["t"]


def test_a_bucket_is_cleaned_but_for_kept_versions(root: str) -> None:
    tables = Tables(root)
    for n in range(4):
        tables.write("t", Write("overwrite", TWO.with_columns(n=n)), identity=str(n), origin={})
    assert tables.clean("t", {1}, grace=3600).removed == ()
    assert len(tables.clean("t", {1}, grace=-60).removed) == 2
    assert tables.scan("t", 1).collect()["n"].to_list() == [1, 1]
    assert tables.scan("t").collect()["n"].to_list() == [3, 3]


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_processes_with_the_same_identity_write_a_bucket_once(root: str, mode: str) -> None:
    reports = race([start(root, mode, tag, 6, "same") for tag in range(3)])
    tables = Tables(root)
    assert tables.version("t") == 5
    lines = [line.split() for report in reports for line in report]
    for n in range(6):
        mine = [(version, repeated) for identity, version, repeated in lines if identity == f"run/{n}"]
        assert [repeated for _, repeated in mine].count("False") == 1
        assert len({version for version, _ in mine}) == 1
    if mode == "append":
        assert tables.scan("t").collect().height == 12


def test_processes_with_their_own_identities_lose_nothing_in_a_bucket(root: str) -> None:
    reports = race([start(root, "append", tag, 6) for tag in range(3)])
    tables = Tables(root)
    history = {w.version: w.identity for w in tables.describe("t", history=99).history}
    lines = [line.split() for report in reports for line in report]
    assert sorted(int(version) for _, version, _ in lines) == list(range(18))
    assert all(history[int(version)] == identity for identity, version, _ in lines)
    assert tables.scan("t").collect().height == 36


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_small_objects_are_put_together_and_nothing_is_lost(root: str, mode: str) -> None:
    reports = race([start(root, mode, tag, 7, code=FEW + WRITER) for tag in range(2)])
    tables = Tables(root)
    assert sorted(int(line.split()[1]) for report in reports for line in report) == list(range(14))
    assert tables.scan("t").collect().height == (28 if mode == "append" else 7 + 2)
    assert tables.describe("t").files < 10
    if mode == "append":  # objects that were put together since are read one by one
        news = tables.appended("t", 3, 13)
        assert news is not None
        assert news.collect().height == 20
        tables.clean("t", set(), grace=-1)
        assert tables.appended("t", 3, 13) is None
    assert tables.damage("t") == []


def test_files_in_a_bucket_are_ingested(root: str, s3_server: S3Server, tmp_path: Path) -> None:
    bucket = root.split("/")[2]
    client = s3_server.client()
    client.put_object(Bucket=bucket, Key="in/a.csv", Body=b"k,v\n1,a\n")
    client.put_object(Bucket=bucket, Key="in/b.CSV", Body=b"k,v\n2,b\n")
    client.put_object(Bucket=bucket, Key="in/deep/a.csv", Body=b"k,v\n9,z\n")
    TWO.write_parquet(tmp_path / "c.parquet")
    client.upload_file(str(tmp_path / "c.parquet"), bucket, "in/c.parquet")
    sources = [f"s3://{bucket}/in/{name}" for name in ("a.csv", "b.CSV", "c.parquet")]
    tables = Tables(str(tmp_path / "tables"))
    report = ingest(tables, "t", sources, key=["k"], identity="1", origin={})
    assert (report.rows, report.dropped) == (2, 2)
    assert ingest(tables, "u", [f"s3://{bucket}/in/*.csv"], origin={}).files == (f"s3://{bucket}/in/a.csv",)
    with pytest.raises(TableError, match="none"):
        ingest(tables, "t", [f"s3://{bucket}/in/none.csv"], identity="2", origin={})
    with pytest.raises(TrikkError):
        ingest(tables, "t", [f"s3://{bucket}/none/*.csv"], identity="2", origin={})


def test_a_store_that_is_away_is_an_error_and_not_an_empty_table(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {
        "aws_endpoint_url": "http://127.0.0.1:1", "aws_access_key_id": "a", "aws_secret_access_key": "hunter2",
        "aws_region": "us-east-1",
    }  # fmt: skip
    tables = Tables("s3://bucket/x", options)
    for act in (lambda: tables.version("t"), lambda: tables.scan("t")):
        with pytest.raises(TableError) as error:
            act()
        assert "hunter2" not in str(error.value)
