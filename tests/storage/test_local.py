from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import polars as pl
import pytest

from trikk.core.digests import digest_bytes
from trikk.core.errors import CodecError, UsageError
from trikk.storage.artifacts import Artifacts
from trikk.storage.stores import syncing
from trikk.storage.stores.local import LocalStore, storage_error
from trikk.storage.stores.locations import open_store
from trikk.storage.stores.memory_store import MemoryStore

DATA = bytes(range(250)) * 800


def _add(root: str, rounds: int) -> None:
    store = LocalStore(root)
    for n in range(rounds):
        source = store.workspace() / f"{os.getpid()}-{n}"
        source.write_bytes(DATA)
        store.add(source, digest_bytes(DATA))
        store.fetch(digest_bytes(DATA))


def test_many_processes_add_the_same_object_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add, args=(str(tmp_path), 20)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    store = LocalStore(tmp_path)
    assert [found.digest for found in store.list()] == [digest_bytes(DATA)]
    assert store.fetch(digest_bytes(DATA)).read_bytes() == DATA
    assert list(store.workspace().iterdir()) == []


WRITER = """
import os, sys
from trikk.storage.artifacts import Artifacts
from trikk.storage.stores.local import LocalStore
artifacts = Artifacts(LocalStore(sys.argv[1]))
print("ready", flush=True)
while True:
    artifacts.save(os.urandom(1_000_000))
"""


def test_a_writer_killed_at_any_moment_leaves_only_whole_objects(tmp_path: Path) -> None:
    for n in range(6):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            while not any(LocalStore(tmp_path).list()):
                time.sleep(0.001)
            time.sleep(0.003 * n)
            writer.send_signal(signal.SIGKILL)
    store = LocalStore(tmp_path)
    found = list(store.list())
    assert found
    for each in found:
        assert store.fetch(each.digest).stat().st_size == 1_000_000


LIMITED = """
import resource, sys
from trikk.core.errors import StorageError
from trikk.storage.artifacts import Artifacts
from trikk.storage.stores.local import LocalStore
import numpy, pandas, polars, pyarrow, pyarrow.compute, pyarrow.ipc
artifacts = Artifacts(LocalStore(sys.argv[1]))
text = "x" * 500_000
values = {
    "json": text, "bytes": text.encode(), "pickle": {text}, "numpy": numpy.arange(100_000),
    "polars": polars.DataFrame({"a": range(100_000)}), "pandas": pandas.DataFrame({"a": range(100_000)}),
    "container": [numpy.arange(3), numpy.arange(100_000)],
}
(artifacts.store.root / "file").write_bytes(text.encode())
values["file"] = artifacts.store.root / "file"
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for name, value in values.items():
    try:
        artifacts.save(value)
    except StorageError as error:
        print(name, type(error).__name__, "disk is full" in error.what, error.next is not None)
"""


def test_a_write_that_the_disk_refuses_is_one_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LIMITED), str(tmp_path)], capture_output=True, text=True, check=True
    )
    names = ["json", "bytes", "pickle", "numpy", "polars", "pandas", "container", "file"]
    assert done.stdout.splitlines() == [f"{name} StorageError True True" for name in names]
    store = LocalStore(tmp_path)
    assert list(store.workspace().iterdir()) == []
    assert [found.size for found in store.list()] == [152]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named(number: int) -> None:
    assert "full" in storage_error(OSError(number, os.strerror(number)), "/data").what


def test_a_folder_that_can_not_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "objects").write_text("a file where the folder should be")
    with pytest.raises(UsageError, match="artifacts"):
        open_store(str(tmp_path))


def test_an_object_is_a_read_only_file_in_a_folder_of_its_first_two_letters(tmp_path: Path) -> None:
    artifact = Artifacts(LocalStore(tmp_path)).save([1, 2])
    path = tmp_path / "objects" / artifact.digest[:2] / artifact.digest[2:]
    assert path.read_bytes() == b"[1,2]"
    assert path.stat().st_mode & 0o777 == 0o444


def test_a_location_leads_to_its_store(tmp_path: Path) -> None:
    assert isinstance(open_store("memory:"), MemoryStore)
    assert isinstance(open_store(str(tmp_path)), LocalStore)
    for wrong in ("relative/path", "http://host/x", "", "s3://", "s3:///prefix"):
        with pytest.raises(UsageError):
            open_store(wrong)


FULL = """
import os, sys
import numpy, polars
from trikk.core.errors import StorageError
from trikk.storage.artifacts import Artifacts
from trikk.storage.stores.local import LocalStore
artifacts = Artifacts(LocalStore(sys.argv[1]))
kept = artifacts.save("small")
for value in ("x" * 900_000, polars.DataFrame({"a": range(100_000)}), numpy.arange(100_000), {"x" * 900_000}):
    try:
        artifacts.save(value)
    except StorageError as error:
        print("disk is full" in error.what, os.listdir(artifacts.store.workspace()))
print(artifacts.load(kept), len(list(artifacts.store.list())))
"""


def test_a_disk_that_really_is_full_keeps_what_it_had(tmp_path: Path) -> None:
    script = 'mount -t tmpfs -o size=600k tmpfs "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "-Urm", "sh", "-c", script, "sh", str(tmp_path), sys.executable, FULL]
    try:
        probe = subprocess.run(
            [*command[:4], 'mount -t tmpfs tmpfs "$1"', "sh", str(tmp_path)], capture_output=True
        )
    except FileNotFoundError:
        pytest.skip("no command unshare, which lends a small disk")
    if probe.returncode:
        pytest.skip(f"this machine lends no small disk: {probe.stderr.decode().strip()}")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["True []"] * 4 + ["small 1"]


def test_a_large_frame_is_on_its_way_to_the_disk_while_it_is_written_and_a_small_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def begin(descriptor: int, *_: int) -> int:
        sizes.append(os.fstat(descriptor).st_size)
        return 0

    monkeypatch.setattr(syncing, "_sync_file_range", lambda: begin)
    monkeypatch.setattr(syncing, "_PAUSE", 0.0001)
    artifacts = Artifacts(LocalStore(tmp_path / "store"))
    small = artifacts.save(pl.DataFrame({"n": range(1000)}))
    assert sizes == []
    large = artifacts.save(pl.select(n=pl.int_range(2_000_000)))
    assert len(sizes) > 1
    assert sizes[-1] == large.size
    assert artifacts.load(small).height == 1000
    assert artifacts.load(large)["n"].sum() == 1_999_999 * 1_000_000


def test_what_fails_while_it_is_written_early_leaves_no_file_thread_or_descriptor(tmp_path: Path) -> None:
    artifacts = Artifacts(LocalStore(tmp_path / "store"))
    objects = pl.DataFrame({"n": range(2_000_000), "o": pl.Series([object()] * 2_000_000, dtype=pl.Object)})
    with pytest.raises(CodecError, match="'o'"):
        artifacts.save(objects)
    assert "trikk writes early" not in {thread.name for thread in threading.enumerate()}
    opened = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
    assert [path for path in opened if path.startswith(str(tmp_path))] == []
    assert list((tmp_path / "store" / "tmp").iterdir()) == []
