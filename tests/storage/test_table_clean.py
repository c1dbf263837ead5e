from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from trikk.core.errors import TableError
from trikk.storage.tables import versioned_tables
from trikk.storage.tables.delta_log import surplus_checkpoints
from trikk.storage.tables.opening import PROPERTIES
from trikk.storage.tables.sums import damaged
from trikk.storage.tables.types import Mode
from trikk.storage.tables.versioned_tables import Tables, Write

MODES: list[Mode] = ["append", "overwrite", "merge"]


def write(tables: Tables, n: int, mode: Mode) -> None:
    frame = pl.DataFrame({"k": [n, n + 1], "v": [f"{n}a", f"{n}b"]})
    if mode == "append":
        frame = frame.with_columns(pl.col("k") + 1000 * n)
    tables.write("t", Write(mode, frame, ("k",) if mode == "merge" else ()), identity=str(n), origin={})


@settings(max_examples=25, deadline=None)
@given(
    modes=st.lists(st.sampled_from(MODES), min_size=1, max_size=7),
    keep=st.sets(st.integers(0, 6)),
    more=st.lists(st.sampled_from(MODES), max_size=2),
)
def test_clean_up_never_takes_a_kept_version(
    tmp_path_factory: pytest.TempPathFactory, modes: list[Mode], keep: set[int], more: list[Mode]
) -> None:
    tables = Tables(str(tmp_path_factory.mktemp("tables")))
    for n, mode in enumerate(modes):
        write(tables, n, mode)
    newest = len(modes) - 1
    keep = {version for version in keep if version <= newest}
    before = {version: tables.scan("t", version).collect() for version in keep | {newest}}
    would = tables.clean("t", keep, grace=0, dry_run=True)
    assert all(tables.scan("t", v).collect().height for v in range(len(modes)))
    did = tables.clean("t", keep, grace=0)
    assert (did.removed, did.bytes, did.kept) == (would.removed, would.bytes, tuple(sorted(before)))
    assert tables.version("t") == newest
    assert tables.clean("t", keep, grace=0).removed == ()
    for n, mode in enumerate(more, start=len(modes)):
        write(tables, n, mode)
    tables.clean("t", keep | {newest}, grace=0)
    for version, frame in before.items():
        assert tables.scan("t", version).collect().equals(frame)


def test_a_cleaned_version_says_so_when_it_is_read(tmp_path: Path) -> None:
    tables = Tables(str(tmp_path))
    for n in range(3):
        write(tables, n, "overwrite")
    report = tables.clean("t", {1}, grace=0)
    assert len(report.removed) == 1
    assert report.bytes > 0
    assert not (tmp_path / "t" / report.removed[0]).exists()
    with pytest.raises(TableError) as error:
        tables.scan("t", 0)
    assert "clean-up" in (error.value.next or "")


def test_young_files_and_dry_runs_are_spared(tmp_path: Path) -> None:
    tables = Tables(str(tmp_path))
    write(tables, 0, "overwrite")
    write(tables, 1, "overwrite")
    under_way = tmp_path / "t" / "part-of-a-write-under-way.parquet"
    under_way.write_bytes(b"half")
    assert tables.clean("t", set(), grace=3600).removed == ()
    assert tables.clean("t", set(), grace=3600).young == 2
    os.utime(under_way, (1, 1))
    assert tables.clean("t", set(), grace=3600, dry_run=True).removed == (under_way.name,)
    assert under_way.exists()
    assert tables.clean("t", set(), grace=3600).removed == (under_way.name,)
    assert not under_way.exists()


def test_nothing_is_removed_if_a_version_to_keep_does_not_exist_or_is_damaged(tmp_path: Path) -> None:
    tables = Tables(str(tmp_path))
    for n in range(3):
        write(tables, n, "overwrite")
    with pytest.raises(TableError, match="no version 7"):
        tables.clean("t", {7}, grace=0)
    tables.clean("t", {1}, grace=0)
    files = sorted((tmp_path / "t").glob("*.parquet"))
    with pytest.raises(TableError, match="nothing was removed"):
        tables.clean("t", {0}, grace=0)
    assert sorted((tmp_path / "t").glob("*.parquet")) == files


def test_partitioned_tables_of_other_programs_are_cleaned_too(tmp_path: Path) -> None:
    frame = pl.DataFrame({"place": ["a b", "c/d=%"], "n": [1, 2]})
    write_deltalake(tmp_path / "t", frame, partition_by=["place"])
    write_deltalake(tmp_path / "t", frame, partition_by=["place"], mode="overwrite")
    tables = Tables(str(tmp_path))
    report = tables.clean("t", set(), grace=0)
    assert len(report.removed) == 2
    assert tables.scan("t").collect().sort("n").select("place", "n").equals(frame)


def test_what_a_writer_gives_up_while_clean_up_waits_for_it_is_young(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables, writer = Tables(str(tmp_path)), Tables(str(tmp_path))
    write(tables, 0, "overwrite")
    lock = tables._lock

    @contextmanager
    def when_the_writer_is_done(name: str) -> Iterator[None]:
        write(writer, 1, "overwrite")
        with lock(name):
            yield

    monkeypatch.setattr(tables, "_lock", when_the_writer_is_done)
    # A run that was locked to version 0 meanwhile is not among those whose versions were asked for.
    report = tables.clean("t", (), grace=0)
    assert (report.removed, report.young) == ((), 1)
    assert tables.scan("t", 0).collect()["v"].to_list() == ["0a", "0b"]


def test_checkpoints_go_as_they_age_and_every_version_stays_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PROPERTIES, "delta.checkpointInterval", "1")
    monkeypatch.setattr(versioned_tables, "_THINNED_EVERY", 20)
    tables, log = Tables(str(tmp_path)), tmp_path / "t" / "_delta_log"
    for n in range(61):
        write(tables, n, "append")
    versions = [int(path.name[:20]) for path in log.glob("*.checkpoint.parquet")]
    assert max(versions) == 60
    assert len(versions) < 40
    for version in (0, 1, 7, 30, 59, 60):
        letters = {f"{n}{letter}" for n in range(version + 1) for letter in "ab"}
        assert set(tables.scan("t", version).select("v").collect()["v"]) == letters
    assert list(damaged(tmp_path / "t", [])) == []


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 6), st.integers(1, 60), st.integers(0, 3), st.sets(st.integers(0, 300), max_size=3))
def test_few_checkpoints_stay_and_all_that_could_be_read_can(
    every: int, count: int, again: int, missing: set[int]
) -> None:
    commits = {n for n in range(every * count + 1) if n not in missing}
    checkpoints: list[int] = []
    for n in range(1, count + 1):
        checkpoints.append(n * every)
        if n % 10 == again or n == count:
            before = _readable(commits, checkpoints)
            names = [f"{n:020d}.json" for n in commits] + [f"{n:020d}.checkpoint.parquet" for n in checkpoints]
            surplus = {int(name[:20]) for name in surplus_checkpoints(names)}
            checkpoints = [version for version in checkpoints if version not in surplus]
            assert _readable(commits, checkpoints) == before
    assert checkpoints[-1] == count * every
    if not missing:
        for first, _, third in zip(checkpoints, checkpoints[1:], checkpoints[2:], strict=False):
            assert third - first > (checkpoints[-1] - third) / 8, "the one between is of no use"


def _readable(commits: set[int], checkpoints: list[int]) -> set[int]:
    """The versions that can be read: from a checkpoint, or the first entry, by all entries since."""
    starts = {-1, *checkpoints}
    readable, is_whole = set(), False
    for version in range(max([*commits, *checkpoints]) + 1):
        is_whole = version in checkpoints or ((is_whole or version - 1 in starts) and version in commits)
        if is_whole:
            readable.add(version)
    return readable
