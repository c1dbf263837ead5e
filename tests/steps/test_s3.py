from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.servers.moto import MotoServer
from tests.servers.s3 import S3Server

from trikk import pipeline, s3, step
from trikk.core.errors import DefinitionError, StorageError, UsageError
from trikk.testing import run_inline


class Bucket:
    def __init__(self, client: Any, name: str) -> None:
        self.client = client
        self.name = name

    def put(self, key: str, body: bytes | str) -> str:
        data = body.encode() if isinstance(body, str) else body
        self.client.put_object(Bucket=self.name, Key=key, Body=data)
        return f"s3://{self.name}/{key}"

    def uri(self, key: str) -> str:
        return f"s3://{self.name}/{key}"


@pytest.fixture(scope="module")
def shared(s3_server: S3Server) -> Bucket:
    return Bucket(s3_server.client(), s3_server.new_bucket())


@pytest.fixture
def bucket(shared: Bucket, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    yield shared
    for found in shared.client.list_objects_v2(Bucket=shared.name).get("Contents", []):
        shared.client.delete_object(Bucket=shared.name, Key=found["Key"])


def parquet(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_parquet(out)
    return out.getvalue()


def test_csv_is_typed_by_all_of_its_values(bucket: Bucket) -> None:
    uri = bucket.put("counts.csv", "station,day,count,share\n007,2020-03-26,1,0.5\n008,2020-03-27,,1\n")
    frame = s3(uri)
    assert dict(frame.schema) == {"station": pl.String, "day": pl.Date, "count": pl.Int64, "share": pl.Float64}
    assert frame.rows()[1] == ("008", date(2020, 3, 27), None, 1.0)


def test_json_lines_and_parquet_keep_their_types(bucket: Bucket) -> None:
    lines = [{"a": 1, "t": "2020-03-26T04:00:00Z"}, {"a": None, "t": None}]
    frame = s3(bucket.put("x.jsonl", "\n".join(map(json.dumps, lines))))
    assert dict(frame.schema) == {"a": pl.Int64, "t": pl.Datetime("us", "UTC")}
    made = pl.DataFrame({"a": [1, 2], "b": [[1], []]}, schema={"a": pl.UInt8, "b": pl.List(pl.Int32)})
    assert s3(bucket.put("x.parquet", parquet(made))).equals(made)


def test_packed_files_are_unpacked(bucket: Bucket) -> None:
    import pyarrow as pa

    assert s3(bucket.put("x.csv.gz", gzip.compress(b"a\n1\n")))["a"].to_list() == [1]
    assert s3(bucket.put("x.jsonl.gz", gzip.compress(b'{"a":2}\n')))["a"].to_list() == [2]
    zstd = pa.Codec("zstd")
    assert s3(bucket.put("x.csv.zst", zstd.compress(b"a\n3\n", asbytes=True)))["a"].to_list() == [3]
    assert s3(bucket.put("x.ndjson.zst", zstd.compress(b'{"a":4}\n', asbytes=True)))["a"].to_list() == [4]


def test_many_objects_are_read_in_the_order_of_their_keys(bucket: Bucket) -> None:
    for part in ("b", "a", "c d", "ø%20#+"):
        bucket.put(f"day=2020-03-26/{part}.csv", f"part\n{part}\n")
    bucket.put("day=2020-03-26/_SUCCESS", "")
    bucket.put("day=2020-03-26/deep/x.csv", "part\ndeep\n")
    bucket.put("day=2020-03-260/x.csv", "part\nno\n")
    assert s3(bucket.uri("day=2020-03-26/*.csv"))["part"].to_list() == ["a", "b", "c d", "ø%20#+"]
    assert s3(bucket.uri("day=2020-03-26/"))["part"].to_list() == ["a", "b", "c d", "deep", "ø%20#+"]
    assert s3(bucket.uri("day={day}/a.csv"), {"day": date(2020, 3, 26)})["part"].to_list() == ["a"]


def test_files_of_several_shapes_are_united_or_refused(bucket: Bucket) -> None:
    bucket.put("m/1.csv", "n,x,w\n1,,2020-03-26\n")
    bucket.put("m/2.csv", "x,n,w\n0.5,1.5,\n")
    frame = s3(bucket.uri("m/*.csv"))
    assert dict(frame.schema) == {"n": pl.Float64, "x": pl.Float64, "w": pl.Date}
    assert frame.rows() == [(1.0, None, date(2020, 3, 26)), (1.5, 0.5, None)]
    bucket.put("m/3.csv", "n,x,w,more\none,1,,9\n")
    bucket.put("m/4.jsonl", '{"n":1,"x":1,"w":null}\n')
    bucket.put("m/5.csv", "n,x,w\none,1,\n")
    with pytest.raises(StorageError, match=r"column 'n' is Int64 in .*m/4.jsonl, and String in .*m/5.csv"):
        s3(bucket.uri("m/[45].*"))
    assert s3(bucket.uri("m/[15].csv"))["n"].to_list() == ["1", "one"]
    with pytest.raises(StorageError, match=r"m/1.csv has no column 'more'"):
        s3(bucket.uri("m/*.csv"), types={"n": "String"})
    frame = s3(bucket.uri("m/[123].csv"), types={"n": "String"}, union=True)
    assert frame["n"].to_list() == ["1", "1.5", "one"]
    assert frame["more"].to_list() == [None, None, 9]
    assert s3(bucket.uri("m/*.csv"), columns=["w", "x"]).columns == ["w", "x"]
    with pytest.raises(UsageError, match="has no column 'y'"):
        s3(bucket.uri("m/1.csv"), columns=["y"])
    with pytest.raises(UsageError, match="no column 'y' for types="):
        s3(bucket.uri("m/1.csv"), types={"y": "String"})


@pytest.mark.parametrize(
    ("key", "body", "words"),
    [
        ("x.parquet", b"PAR1 nonsense", "can't be read as parquet"),
        ("x.csv.gz", gzip.compress(b"a\n" + b"1\n" * 999, mtime=0)[:-9], "no whole gzip"),
        ("x.csv.gz", b"a\n1\n", "no whole gzip"),
        ("x.csv.zst", b"\x28\xb5\x2f\xfd nonsense", "can't be read as csv"),
        ("x.jsonl", b'{"a":1}\n{"a":', "can't be read as jsonl"),
        ("x.csv", b"a,b\n1,2,3\n", "can't be read as csv"),
        ("x.csv", b"", "can't be read as csv"),
        ("x.csv", b"a\n\xff\xfe\n", "can't be read as csv"),
    ],
)
def test_a_damaged_object_is_named(bucket: Bucket, key: str, body: bytes, words: str) -> None:
    uri = bucket.put(f"bad/{key}", body)
    with pytest.raises(StorageError, match=words) as error:
        s3(bucket.uri("bad/*"))
    assert uri in str(error.value)
    assert "/trikk-s3-" not in str(error.value)


def test_a_value_that_is_not_of_its_type_is_named(bucket: Bucket) -> None:
    uri = bucket.put("t.csv", "a\n1\nx\n")
    with pytest.raises(StorageError, match=r"line 3, column 'a': expected Int64, found 'x'"):
        s3(uri, types={"a": "Int64"})


@pytest.mark.parametrize("key", ["nothing.csv", "nothing/", "nothing/*.csv"])
def test_no_object_is_a_clear_error(bucket: Bucket, key: str) -> None:
    bucket.put("something.csv", "a\n1\n")
    with pytest.raises(StorageError, match="there is no object") as error:
        s3(bucket.uri(key))
    assert bucket.uri(key) in str(error.value)


def test_a_missing_bucket_a_wrong_key_and_a_server_away_are_told(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = bucket.put("x.csv", "a\n1\n")
    with pytest.raises((UsageError, StorageError), match="no-such-bucket"):
        s3("s3://no-such-bucket/x/*.csv")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    with pytest.raises(StorageError, match="refused or did not answer") as error:
        s3(uri)
    assert "wrong-secret" not in str(error.value)


def test_a_run_says_which_objects_it_read(bucket: Bucket) -> None:
    for name in ("1", "2"):
        bucket.put(f"r/2020-03-26-{name}.csv", f"a\n{name}\n")

    @step
    def total(rows: pl.LazyFrame) -> int:
        return int(rows.select(pl.col("a").sum()).collect().item())

    @pipeline
    def reading(day: date, uri: str) -> None:
        total(s3(f"s3://{bucket.name}/r/{{day}}-*.csv", {"day": day}))
        s3(uri, name="other")

    run = run_inline(reading, day=date(2020, 3, 26), uri=bucket.uri("r/2020-03-26-2.csv"))
    assert run.state == "succeeded", run.error
    assert run.output("total") == 3
    read = {e.body["step"]: e.body for e in run.events if e.kind == "source.read"}
    heads = [bucket.client.head_object(Bucket=bucket.name, Key=f"r/2020-03-26-{n}.csv") for n in ("1", "2")]
    assert [(o["key"], o["size"], o["etag"]) for o in read["s3"]["objects"]] == [
        (f"r/2020-03-26-{n}.csv", 4, head["ETag"]) for n, head in zip(("1", "2"), heads, strict=True)
    ]
    assert read["s3"]["uri"] == f"s3://{bucket.name}/r/2020-03-26-*.csv"
    assert read["other"]["rows"] == 1
    assert (read["s3"]["columns"], read["s3"]["doubts"]) == ({"a": "Int64"}, [])


def test_what_is_doubtful_in_an_object_stands_in_the_log_and_the_event(
    bucket: Bucket, capfd: pytest.CaptureFixture[str]
) -> None:
    uri = bucket.put("doubtful.csv", "a;b\nNA;7\n1;x\n2;-\n\n")

    @pipeline
    def reading(uri: str) -> None:
        s3(uri, separator=";", nulls=["-"])

    run = run_inline(reading, uri=uri)
    assert run.state == "succeeded", run.error
    (read,) = [e.body for e in run.events if e.kind == "source.read"]
    assert read["columns"] == {"a": "String", "b": "String"}
    assert (
        f"column 'a': 'NA' ({uri} line 2) is not a number, so the whole column is text (1 row)" in read["doubts"]
    )
    assert "1 blank line left out" in read["doubts"]
    assert "'NA'" in capfd.readouterr().out


def test_a_value_from_outside_can_not_choose_another_folder(bucket: Bucket) -> None:
    @pipeline
    def reading(name: str) -> None:
        s3(f"s3://{bucket.name}/public/{{name}}.csv", {"name": name})

    run = run_inline(reading, parameters={"name": "../private/x"})
    assert run.state == "failed"
    assert "can't be a piece" in str(run.run.steps["s3"].error)


@pytest.mark.parametrize(
    ("uri", "more"),
    [
        ("s3://bucket/AKIAIOSFODNN7EXAMPLE.csv", {}),
        ("s3://bucket/{day}.csv", {}),
        ("http://bucket/x.csv", {}),
        ("s3://bucket/x.csv", {"format": "xlsx"}),
        ("s3://bucket/x.csv", {"types": {"a": "int"}}),
        ("s3://bucket/x.csv", {"role": "reader"}),
    ],
)
def test_a_wrong_definition_names_the_author_s_line(uri: str, more: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError) as error:
        s3(uri, **more)
    assert str(error.value.where).startswith(__file__)


def test_a_profile_and_a_role_lead_to_the_objects(
    moto_server: MotoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_server.endpoint)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    config = tmp_path / "config"
    config.write_text(
        "[profile team]\nregion = eu-west-1\naws_access_key_id = testing\naws_secret_access_key = x\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    client = moto_server.client("s3")
    client.create_bucket(Bucket="named", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    client.put_object(Bucket="named", Key="x.csv", Body=b"a\n1\n")
    assert s3("s3://named/x.csv", profile="team")["a"].to_list() == [1]
    role = "arn:aws:iam::123456789012:role/reader"
    assert s3("s3://named/x.csv", profile="team", role=role)["a"].to_list() == [1]
    with pytest.raises(UsageError, match="no AWS profile 'other'"):
        s3("s3://named/x.csv", profile="other")
    with pytest.raises(StorageError, match="no AWS credentials"):
        s3("s3://named/x.csv", role=role)


def test_an_object_that_changes_meanwhile_is_not_taken_for_the_listed_one(bucket: Bucket, tmp_path: Path) -> None:
    from trikk.steps.amazon.s3_rows import connect
    from trikk.storage.stores.buckets import download, list_objects
    from trikk.storage.stores.object_names import locate

    uri = bucket.put("x.csv", "a\n1\n")
    link = connect(bucket.name, None, None, None, None)
    (found,) = list_objects(link, locate(uri), uri)
    bucket.put("x.csv", "a\n2\n")
    with pytest.raises(StorageError, match="was changed or removed while it was read"):
        download(link, found, tmp_path / "x", uri)
