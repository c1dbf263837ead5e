from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from trikk.core.digests import digest_bytes
from trikk.core.errors import ArtifactCorrupt, ArtifactMissing, StorageError
from trikk.storage.artifacts import Artifacts
from trikk.storage.stores import cold
from trikk.storage.stores.local import LocalStore

DAY = 86_400.0
COUNTS = b"".join(b"%d,north,%d\n" % (n, n % 40) for n in range(20_000))


def old(store: LocalStore, digest: str, days: float = 9) -> Path:
    path = Path(store._path(digest))
    os.utime(path, (time.time(), time.time() - days * DAY))
    return path


def kept(store: LocalStore, data: bytes = COUNTS) -> tuple[str, Path]:
    source = store.workspace() / f"new-{os.urandom(4).hex()}"
    source.write_bytes(data)
    digest = digest_bytes(data)
    store.add(source, digest)
    return digest, old(store, digest)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def compress(store: LocalStore, *, before: float, dry_run: bool = False) -> tuple[int, int]:
    return store.compress([stored.digest for stored in store.list()], before=before, dry_run=dry_run)


def week_ago() -> float:
    return time.time() - 7 * DAY


def test_a_cold_object_takes_a_fraction_and_comes_back_as_it_was(store: LocalStore) -> None:
    digest, path = kept(store)
    estimate = compress(store, before=week_ago(), dry_run=True)
    assert path.exists()
    count, saved = compress(store, before=week_ago())
    assert count == estimate[0] == 1
    assert saved == pytest.approx(estimate[1], rel=0.05)
    assert store.head(digest) == COUNTS[:6]
    (listed,) = store.list()
    assert (listed.digest, listed.size) == (digest, len(COUNTS) - saved)
    assert listed.size < len(COUNTS) / 2
    assert listed.modified < week_ago()
    assert not path.exists()
    assert store.contains(digest)
    assert store.fetch(digest).read_bytes() == COUNTS
    assert store.fetch(digest).stat().st_mode & 0o777 == 0o444
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert compress(store, before=week_ago()) == (0, 0)  # it is warm again
    assert list(store.workspace().iterdir()) == []


def test_a_frame_is_loaded_from_a_cold_object(store: LocalStore) -> None:
    artifacts = Artifacts(store)
    frame = pl.DataFrame({"at": range(50_000), "people": [n % 90 for n in range(50_000)]})
    artifact = artifacts.save(frame)
    old(store, artifact.digest)
    assert compress(store, before=week_ago())[0] == 1
    assert artifacts.load(artifact).equals(frame)
    assert artifacts.save(frame).digest == artifact.digest


def test_what_is_young_small_damaged_or_was_just_fetched_stays(store: LocalStore) -> None:
    young, _ = kept(store)
    store.touch(young)
    fetched, _ = kept(store, COUNTS + b"2")
    store.fetch(fetched)
    kept(store, b"small")
    kept(store, os.urandom(50_000))  # gets no smaller
    _, path = kept(store, COUNTS + b"3")
    path.chmod(0o644)
    path.write_bytes(b"x" * len(COUNTS))
    os.utime(path, (1, 1))
    assert compress(store, before=week_ago()) == (0, 0)
    assert compress(store, before=time.time() + DAY) == (0, 0)  # whoever fetched it may be about to open it
    assert not [p for p in path.parents[1].rglob("*") if p.name.endswith(cold.SUFFIX)]


def test_a_cold_object_is_touched_deleted_and_added_like_any_other(store: LocalStore) -> None:
    digest, path = kept(store)
    compress(store, before=week_ago())
    assert store.touch(digest)
    assert not store.delete(digest, before=week_ago())
    digest_again, _ = kept(store)
    assert digest_again == digest
    assert path.exists()
    assert len(list(store.list())) == 1
    assert store.delete(digest)
    assert not store.contains(digest)
    assert list(path.parent.iterdir()) == []
    with pytest.raises(ArtifactMissing):
        store.fetch(digest)


@pytest.mark.parametrize("damage", [slice(0, 100), slice(0, 0), slice(5, None)])
def test_a_damaged_cold_object_is_never_given_back(store: LocalStore, damage: slice, tmp_path: Path) -> None:
    digest, path = kept(store)
    compress(store, before=week_ago())
    squeezed = path.with_name(path.name + cold.SUFFIX)
    data = squeezed.read_bytes()
    squeezed.chmod(0o644)
    squeezed.write_bytes(data[damage])
    for look in (store.check, store.fetch, lambda digest: store.export(digest, tmp_path / "exported")):
        with pytest.raises(ArtifactCorrupt, match="damaged"):
            look(digest)
    kept(store)
    assert store.fetch(digest).read_bytes() == COUNTS


def test_an_object_that_is_put_back_while_it_is_exported_is_exported(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, _ = kept(store)
    compress(store, before=week_ago())
    unpack = cold.unpack

    def fetched_first(path: Path, target: Path, digest: str) -> None:
        store.fetch(digest)
        unpack(path, target, digest)

    monkeypatch.setattr(cold, "unpack", fetched_first)
    store.export(digest, tmp_path / "exported")
    assert (tmp_path / "exported").read_bytes() == COUNTS


def test_an_object_fetched_while_it_is_compressed_stays(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, path = kept(store)
    rename = Path.rename

    def fetched_first(self: Path, target: Path) -> Path:
        if self == path:
            store.fetch(digest)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fetched_first)
    assert compress(store, before=week_ago()) == (0, 0)
    assert path.read_bytes() == COUNTS
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_an_object_whose_file_goes_while_it_is_fetched_is_had_from_the_compressed_one(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, path = kept(store)
    utime = os.utime

    def compressed_first(file: str | Path, *args: Any, **kwargs: Any) -> None:
        utime(file, *args, **kwargs)
        if file == path and not args and not kwargs:
            old(store, digest)
            assert compress(store, before=week_ago())[0] == 1

    monkeypatch.setattr(os, "utime", compressed_first)
    assert store.fetch(digest).read_bytes() == COUNTS


def test_an_object_put_back_between_two_looks_is_there(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    digest, _ = kept(store)
    compress(store, before=week_ago())
    exists = os.path.exists

    def put_back(file: str) -> bool:
        is_there = exists(file)
        store.fetch(digest)
        return is_there

    monkeypatch.setattr(os.path, "exists", put_back)
    assert store.contains(digest)


def test_what_is_only_looked_at_stays_cold(store: LocalStore) -> None:
    digest, path = kept(store)
    for _ in range(2):
        store.check(digest)
        assert [stored.modified < week_ago() for stored in store.list()] == [True]
        compress(store, before=week_ago())
    assert not path.exists()
    store.delete(digest)
    with pytest.raises(ArtifactMissing):
        store.check(digest)


def test_of_two_processes_one_compresses(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    digest, path = kept(store)
    rename = Path.rename
    refused = []

    def meanwhile(self: Path, target: Path) -> Path:
        if self == path:
            with pytest.raises(StorageError) as error:
                compress(LocalStore(store.root), before=week_ago())
            refused.append(error.value)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", meanwhile)
    assert compress(store, before=week_ago())[0] == 1
    assert len(refused) == 1
    monkeypatch.undo()
    assert store.fetch(digest).read_bytes() == COUNTS
    old(store, digest)
    assert compress(LocalStore(store.root), before=week_ago())[0] == 1


def test_a_full_disk_leaves_what_was_to_be_compressed(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    _, path = kept(store)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="full"):
        compress(store, before=week_ago())
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert list(store.workspace().iterdir()) == []


def test_what_gets_very_small_is_given_back_piece_by_piece(store: LocalStore) -> None:
    digest, _ = kept(store, bytes(80_000_000))
    assert compress(store, before=week_ago())[0] == 1
    tracemalloc.start()
    store.fetch(digest)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 40_000_000


def test_killed_at_any_moment_an_object_is_there(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    code = (
        "import sys, time\nfrom trikk.storage.stores.local import LocalStore\nstore = LocalStore(sys.argv[1])\n"
        "print('ready', flush=True)\n"
        "store.compress((d.digest for d in store.list()), before=time.time() - 7 * 86400)\n"
    )
    data = [COUNTS + bytes([65 + n]) for n in range(12)]
    for attempt in range(6):
        for one in data:
            kept(store, one)
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.012 * attempt)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        for one in data:
            assert store.fetch(digest_bytes(one)).read_bytes() == one
