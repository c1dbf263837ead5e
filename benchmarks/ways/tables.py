"""Writes of a table that has many versions, or many columns, beside the same by hand."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable

import numpy as np
import polars as pl
from deltalake import DeltaTable, write_deltalake

from benchmarks.ways import Ready
from benchmarks.ways.commands import own_folder
from trikk.storage.tables.versioned_tables import Tables, Write

WRITES = 20
MERGED = 10


def appends(size: int, way: str, fewer: int | None = None) -> Callable[[], None]:
    """Twenty appends of ten rows to a table of so many versions, by trikk, or by delta-rs without a sync.

    The versions before are of no rows, and written by hand.
    """
    tables, number = Tables(str(own_folder())), itertools.count()

    def append() -> None:
        for n in itertools.islice(number, WRITES):
            write = Write("append", rows(n))
            tables.write("counts", write, identity=f"run/{n}", origin={"run": "run"})

    def by_engine() -> None:
        for n in itertools.islice(number, WRITES):
            write_deltalake(log.parent, rows(n), mode="append")

    append()
    log = own_folder() / "counts" / "_delta_log"
    for version in range(WRITES, fewer or size):
        name = f"earlier/{version}"
        entry = [{"commitInfo": {"operation": "WRITE", "timestamp": version, "trikk.identity": name}}]
        entry += [{"txn": {"appId": name, "version": version}}]
        (log / f"{version:020d}.json").write_text("\n".join(map(json.dumps, entry)))
    DeltaTable(log.parent).create_checkpoint()
    append()  # which takes down the digests of all these
    return append if way == "trikk" else by_engine


def rows(number: int) -> pl.DataFrame:
    """Ten rows of one write."""
    return pl.DataFrame({"key": range(number * 10, number * 10 + 10)})


def wide(columns: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A table of a thousand rows, and ten that replace some of its own."""
    dice = np.random.default_rng(1)
    names = [f"c{n}" for n in range(columns - 1)]
    table = pl.DataFrame(dice.random((1_000, columns - 1)), schema=names).with_row_index("key")
    table = table.with_columns(pl.col("key").cast(pl.Int64))
    return table, table[:: 1_000 // MERGED].with_columns(c0=0.0)


def merge(size: int, way: str) -> Ready:
    """Ten rows merged into a thousand of `size` columns: by trikk, by delta-rs, or with polars and a sync."""
    table, rows = wide(size)
    number = itertools.count()
    folder, tables = own_folder() / "wide", Tables(str(own_folder()))

    def again() -> None:
        tables.write("wide", Write("overwrite", table), identity=f"all/{next(number)}", origin={})

    def ours() -> None:
        tables.write("wide", Write("merge", rows, ("key",)), identity=f"ten/{next(number)}", origin={})

    def by_engine() -> None:
        merger = DeltaTable(folder).merge(rows, "t.key = s.key", source_alias="s", target_alias="t")
        merger.when_matched_update_all().when_not_matched_insert_all().execute()

    def by_hand() -> None:
        kept = pl.read_parquet(folder / "all.parquet").join(rows, on="key", how="anti")
        for name, frame in (("kept", kept), ("new", rows)):
            file = folder / f"{name}.parquet"
            frame.write_parquet(file)
            with file.open("rb") as written:
                os.fsync(written.fileno())

    def put() -> None:
        folder.mkdir(exist_ok=True)
        table.write_parquet(folder / "all.parquet")

    def answer(_: None) -> float:
        files = [folder / "kept.parquet", folder / "new.parquet"]
        frame = pl.read_parquet(files) if way == "hand" else pl.scan_delta(folder).collect()
        return float(frame.select(pl.sum_horizontal(pl.all()).sum()).item())

    def engine_again() -> None:
        write_deltalake(folder, table, mode="overwrite")

    run, before = {"trikk": (ours, again), "delta-rs": (by_engine, engine_again), "hand": (by_hand, put)}[way]
    return Ready(run, answer, before)
