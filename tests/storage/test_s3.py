from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from tests.servers.s3 import S3Server

from trikk.core.errors import StorageError, UsageError
from trikk.storage.artifacts import Artifacts
from trikk.storage.stores.locations import open_store
from trikk.storage.stores.s3_store import S3Store


def use(server: S3Server, monkeypatch: pytest.MonkeyPatch, *, reader: bool = False) -> None:
    for name, value in server.environment(reader=reader).items():
        monkeypatch.setenv(name, value)


def test_what_one_machine_saves_another_loads(
    s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(s3_server, monkeypatch)
    url = f"s3://{s3_server.new_bucket()}/team"
    value = [pl.DataFrame({"a": [1, 2]}), {"b": 0.5}]
    artifact = Artifacts(open_store(url, {"cache": str(tmp_path / "one")})).save(value)
    other = Artifacts(open_store(url, {"cache": str(tmp_path / "two")}))
    other.verify(artifact)
    assert other.load(artifact)[0].equals(value[0])


def test_a_refused_write_is_one_error_without_secrets(
    s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = s3_server.new_bucket()
    use(s3_server, monkeypatch, reader=True)
    store = S3Store(f"s3://{bucket}", {"cache": str(tmp_path)})
    with pytest.raises(StorageError) as caught:
        Artifacts(store).save([1])
    for secret in (s3_server.secret_key, s3_server.access_key, s3_server.reader_key):
        assert secret not in f"{caught.value} {caught.value.to_json()}"
    assert list(store.workspace().iterdir()) == []


def test_a_bucket_that_does_not_exist_is_one_error(
    s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(s3_server, monkeypatch)
    store = S3Store("s3://no-such-bucket-here", {"cache": str(tmp_path)})
    with pytest.raises(StorageError):
        Artifacts(store).save([1])


def test_credentials_in_the_address_are_refused_and_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        S3Store("s3://key:topsecret@bucket/prefix", {"cache": str(tmp_path)})
    assert "topsecret" not in str(caught.value)
