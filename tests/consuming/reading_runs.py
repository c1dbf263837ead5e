"""Runs that read a topic into tables, for tests that kill them.

    python reading_runs.py FOLDER ADDRESS LIMIT

Each run is a new one, as of a night after which nobody resumes the one before; it prints how many messages it has
read, and ends when a run has read none.
"""

from __future__ import annotations

import sys

import polars as pl

from trikk import Table, kafka, pipeline, step
from trikk.pipeline.pipeline import Pipeline
from trikk.storage.tables.versioned_tables import Tables
from trikk.testing import run_inline


@step
def doubled(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(double=pl.col("id") * 2) if rows.width else rows


def reading(address: str, limit: int) -> Pipeline:
    @pipeline
    def nightly() -> None:
        rows = kafka(address, Table("readings"), key="id", types={"id": "Int64"}, limit=limit)
        Table("readings").append(doubled(rows))

    return nightly


def main() -> None:
    folder, address, limit = sys.argv[1:]
    tables = Tables(folder)
    while True:
        run = run_inline(reading(address, int(limit)), tables=tables)
        assert run.state == "succeeded", run.error
        count = run.output("kafka")[2]["messages"]
        print(count, flush=True)
        if not count:
            return


if __name__ == "__main__":
    main()
