from __future__ import annotations

import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.servers.s3 import S3Server

from trikk.core.digests import digest_bytes
from trikk.core.errors import ArtifactCorrupt, ArtifactMissing, StorageError
from trikk.storage.stores.local import LocalStore
from trikk.storage.stores.memory_store import MemoryStore
from trikk.storage.stores.s3_store import S3Store
from trikk.storage.stores.store_port import Store

HOSTILE = [
    "",
    "x",
    "../../etc/passwd",
    "A" * 64,
    "a" * 63,
    "a" * 63 + "/",
    "/" + "a" * 63,
    "a" * 62 + "\0a",
    "é" * 64,
]


class Place:
    """A store, and how to reach the bytes behind it without it."""

    def __init__(self, store: Store, corrupt: Callable[[str, bytes], None]) -> None:
        self.store = store
        self.corrupt = corrupt

    def put(self, data: bytes, digest: str | None = None) -> str:
        source = self.store.workspace() / f"source-{time.monotonic_ns()}"
        source.write_bytes(data)
        self.store.add(source, digest or digest_bytes(data))
        assert not source.exists()
        return digest_bytes(data)


@pytest.fixture(params=["local", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    if request.param == "local":
        store = LocalStore(tmp_path / "store")

        def corrupt_file(digest: str, data: bytes) -> None:
            path = tmp_path / "store" / "objects" / digest[:2] / digest[2:]
            path.chmod(0o644)
            path.write_bytes(data)

        return Place(store, corrupt_file)
    if request.param == "memory":
        memory = MemoryStore()

        def corrupt_bytes(digest: str, data: bytes) -> None:
            memory._objects[digest] = (data, time.time())

        return Place(memory, corrupt_bytes)
    server: S3Server = request.getfixturevalue("s3_server")
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    bucket = server.new_bucket()
    cache = tmp_path / "cache"

    def corrupt_object(digest: str, data: bytes) -> None:
        server.client().put_object(Bucket=bucket, Key=f"some/prefix/objects/{digest[:2]}/{digest[2:]}", Body=data)
        cached = cache / "objects" / digest[:2] / digest[2:]
        cached.unlink(missing_ok=True)

    return Place(S3Store(f"s3://{bucket}/some/prefix", {"cache": str(cache)}), corrupt_object)


@pytest.mark.parametrize("data", [b"", b"a", b"some bytes" * 1000], ids=["empty", "one byte", "some"])
def test_what_is_added_is_fetched_and_exported(place: Place, data: bytes, tmp_path: Path) -> None:
    digest = place.put(data)
    assert place.store.contains(digest)
    assert place.store.fetch(digest).read_bytes() == data
    place.store.check(digest)
    place.store.export(digest, tmp_path / "exported")
    assert (tmp_path / "exported").read_bytes() == data


def test_a_large_object_is_fetched_whole(place: Place) -> None:
    data = bytes(range(256)) * 80_000
    digest = place.put(data)
    place.corrupt(digest, data)
    assert place.store.fetch(digest).read_bytes() == data


def test_a_fetched_file_is_read_only(place: Place) -> None:
    path = place.store.fetch(place.put(b"data"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o444


def ways(place: Place, folder: Path) -> list[Callable[[str], object]]:
    """Whatever reads an object's bytes."""
    store = place.store
    return [store.fetch, store.check, lambda digest: store.export(digest, folder / f"exported {digest}")]


def test_an_object_that_is_not_there_is_missing(place: Place, tmp_path: Path) -> None:
    digest = digest_bytes(b"never added")
    assert not place.store.contains(digest)
    for way in ways(place, tmp_path):
        with pytest.raises(ArtifactMissing) as caught:
            way(digest)
        assert caught.value.next


@pytest.mark.parametrize("damage", [b"some bytex", b"some byte", b"", b"some bytes "])
def test_damaged_bytes_are_never_given_back(place: Place, damage: bytes, tmp_path: Path) -> None:
    digest = place.put(b"some bytes")
    place.corrupt(digest, damage)
    for way in ways(place, tmp_path):
        with pytest.raises(ArtifactCorrupt) as caught:
            way(digest)
        assert caught.value.next


def test_a_file_damaged_after_a_first_fetch_is_found_or_mended(place: Place) -> None:
    digest = place.put(b"some bytes")
    path = place.store.fetch(digest)
    path.chmod(0o644)
    path.write_bytes(b"some bytex")
    try:
        assert place.store.fetch(digest).read_bytes() == b"some bytes"
    except ArtifactCorrupt:
        assert not isinstance(place.store, S3Store)


def test_adding_again_mends_a_damaged_object(place: Place) -> None:
    digest = place.put(b"some bytes")
    place.corrupt(digest, b"some bytex")
    place.put(b"some bytes")
    assert place.store.fetch(digest).read_bytes() == b"some bytes"


def test_a_deleted_object_is_gone_and_may_be_deleted_twice(place: Place) -> None:
    digest = place.put(b"data")
    place.store.fetch(digest)
    place.store.delete(digest)
    place.store.delete(digest)
    assert not place.store.contains(digest)
    with pytest.raises(ArtifactMissing):
        place.store.fetch(digest)


def test_the_list_has_every_object_with_size_and_time(place: Place) -> None:
    assert list(place.store.list()) == []
    before = time.time() - 5
    digests = {place.put(bytes([n]) * n): n for n in range(1, 4)}
    found = list(place.store.list())
    assert {each.digest: each.size for each in found} == digests
    assert all(before <= each.modified <= time.time() + 5 for each in found)


def test_adding_again_makes_an_object_young(place: Place) -> None:
    place.put(b"data")
    [first] = place.store.list()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        place.put(b"data")
        [again] = place.store.list()
        if again.modified > first.modified:
            return
    pytest.fail("the time of the object never moved")


def test_touching_makes_an_object_young(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trikk.storage.stores.s3_store._YOUNG", -1.0)
    digest = place.put(b"data")
    [first] = place.store.list()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        assert place.store.touch(digest)
        [again] = place.store.list()
        if again.modified > first.modified:
            break
    else:
        pytest.fail("the time of the object never moved")
    assert place.store.fetch(digest).read_bytes() == b"data"
    assert not place.store.touch(digest_bytes(b"never added"))


def test_a_young_object_is_not_deleted_with_the_old_ones(place: Place) -> None:
    digest = place.put(b"data")
    assert not place.store.delete(digest, before=time.time() - 60)
    assert place.store.fetch(digest).read_bytes() == b"data"
    assert place.store.delete(digest, before=time.time() + 60)
    assert not place.store.contains(digest)
    assert not place.store.delete(digest, before=time.time() + 60)


@pytest.mark.parametrize("digest", HOSTILE)
def test_a_hostile_digest_never_becomes_a_path(place: Place, digest: str) -> None:
    source = place.store.workspace() / "source"
    for call in (place.store.fetch, place.store.contains, place.store.touch, place.store.delete):
        with pytest.raises(StorageError, match="not a digest"):
            call(digest)
    source.write_bytes(b"data")
    with pytest.raises(StorageError, match="not a digest"):
        place.store.add(source, digest)
    assert list(place.store.list()) == []


def test_the_workspace_is_not_part_of_the_list(place: Place) -> None:
    (place.store.workspace() / "half").write_bytes(b"half-written")
    assert list(place.store.list()) == []
