from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from trikk.core.errors import StorageError
from trikk.storage.stores.locks import file_lock
from trikk.storage.tables.versioned_tables import Tables, Write

WRITER = """
import sys
import polars as pl
from trikk.storage.tables.versioned_tables import Tables, Write
root, mode, tag, count, same = sys.argv[1:]
tables = Tables(root)
print("ready", flush=True)
sys.stdin.readline()
for n in range(int(count)):
    identity = f"run/{n}" if same == "same" else f"{tag}/{n}"
    frame = pl.DataFrame({"k": [n, 1000 + int(tag)], "v": [identity, identity]})
    key = () if mode == "append" else ("k",)
    made = tables.write("t", Write(mode, frame, key), identity=identity, origin={"run": tag})
    print(identity, made.version, made.repeated, flush=True)
"""


def start(
    root: Path | str, mode: str, tag: int, count: int, same: str = "own", *, code: str = WRITER, **env: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(root), mode, str(tag), str(count), same],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **env},
    )


def race(writers: list[subprocess.Popen[str]]) -> list[list[str]]:
    """Lets all writers begin at once and returns what each reported."""
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    reports = [writer.communicate(timeout=200)[0].splitlines() for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * len(writers)
    return reports


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_writers_in_several_processes_lose_nothing(tmp_path: Path, mode: str) -> None:
    reports = race([start(tmp_path, mode, tag, 12) for tag in range(3)])
    tables = Tables(str(tmp_path))
    versions = [int(line.split()[1]) for report in reports for line in report]
    assert sorted(versions) == list(range(36))
    history = {w.version: w.identity for w in tables.describe("t", history=99).history}
    for line in (line for report in reports for line in report):
        identity, version, repeated = line.split()
        assert history[int(version)] == identity
        assert repeated == "False"
    frame = tables.scan("t").collect()
    assert frame.height == (72 if mode == "append" else 12 + 3)


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_processes_with_the_same_identity_write_once(tmp_path: Path, mode: str) -> None:
    reports = race([start(tmp_path, mode, tag, 12, "same") for tag in range(3)])
    tables = Tables(str(tmp_path))
    assert tables.version("t") == 11
    lines = [line.split() for report in reports for line in report]
    for n in range(12):
        mine = [(version, repeated) for identity, version, repeated in lines if identity == f"run/{n}"]
        assert [repeated for _, repeated in mine].count("False") == 1
        assert len({version for version, _ in mine}) == 1
    if mode == "append":
        assert tables.scan("t").collect().height == 24


@pytest.mark.parametrize("mode", ["append", "overwrite", "merge"])
def test_a_writer_killed_at_any_moment_leaves_the_old_or_the_new_version(tmp_path: Path, mode: str) -> None:
    tables = Tables(str(tmp_path))
    rows = 2000
    base = pl.DataFrame({"k": range(rows), "v": ["old"] * rows})
    tables.write("t", Write("append", base), identity="base", origin={})
    code = WRITER.replace(
        '{"k": [n, 1000 + int(tag)], "v": [identity, identity]}',
        f'{{"k": range({rows}), "v": [identity] * {rows}}}',
    )
    code = code.replace('() if mode == "append" else ("k",)', '("k",) if mode == "merge" else ()')
    chance = random.Random(7)
    for attempt in range(8):
        writer = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), mode, str(attempt), "1000", "own"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert writer.stdout is not None
        assert writer.stdin is not None
        writer.stdout.readline()
        writer.stdin.write("go\n")
        writer.stdin.flush()
        writer.stdout.readline()
        time.sleep(chance.random() * 0.06)
        writer.send_signal(signal.SIGKILL)
        done = [line.split() for line in writer.communicate()[0].splitlines()]
        version = tables.version("t")
        assert version is not None
        assert all(int(made) <= version for _, made, _ in done)
        frame = tables.scan("t").collect()
        expected = rows * (version + 1) if mode == "append" else rows
        assert frame.height == expected
        per_write = frame.group_by("v").len()["len"].unique().to_list()
        assert per_write == [rows]
        newest = tables.describe("t", history=1).history[0].identity
        again = tables.write("t", Write("append", base), identity=str(newest), origin={})
        assert (again.version, again.repeated) == (version, True)
    tables.clean("t", set(), grace=0)
    assert tables.scan("t").collect().height == expected


def test_a_lock_is_freed_when_its_holder_is_killed(tmp_path: Path) -> None:
    lock = tmp_path / "locks" / "t.lock"
    code = (
        "import sys; from pathlib import Path; from trikk.storage.stores.locks import file_lock\n"
        f"with file_lock(Path({str(lock)!r})):\n print('held', flush=True); sys.stdin.readline()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(StorageError, match=str(holder.pid)), file_lock(lock, timeout=0.01):
        pass
    holder.kill()
    holder.communicate()
    with file_lock(lock, timeout=5):
        pass


def test_a_forked_child_does_not_keep_a_lock(tmp_path: Path) -> None:
    lock = tmp_path / "t.lock"
    read, write = os.pipe()
    with file_lock(lock):
        child = os.fork()
        if child == 0:
            os.close(write)
            os.read(read, 1)
            os._exit(0)
    try:
        with file_lock(lock, timeout=5):
            pass
    finally:
        os.close(write)
        os.close(read)
        os.waitpid(child, 0)
