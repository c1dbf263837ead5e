"""What `Tables.appended` gives, on which an incremental sync rests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.servers.s3 import S3Server

from trikk.storage.tables.table_write import Write
from trikk.storage.tables.versioned_tables import Tables
from trikk.testing.memory_tables import MemoryTables


@pytest.fixture(params=["folder", "bucket", "memory"])
def tables(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "memory":
        return MemoryTables()
    if request.param == "folder":
        return Tables(str(tmp_path / "tables"))
    server: S3Server = request.getfixturevalue("s3_server")
    options = {name.lower(): value for name, value in server.environment().items()}
    return Tables(f"s3://{server.new_bucket()}/tables", options)


@pytest.fixture
def put(tables: Any) -> Callable[..., int]:
    def write(mode: str, *numbers: int, **more: Any) -> int:
        data = {"n": pl.Series(numbers, dtype=pl.Int64), **more}
        key = ("n",) if mode == "merge" else ()
        one = Write(mode, pl.DataFrame(data), key=key, schema_mode="merge")  # type: ignore[arg-type]
        return int(tables.write("t", one, identity=f"{mode}{numbers}{more}", origin={}).version)

    return write


def test_rows_that_were_only_added_are_read_alone(tables: Any, put: Callable[..., int]) -> None:
    first, second, third = put("append", 1, 2), put("append", 3), put("append", 4, 5)
    assert tables.appended("t", first, second).collect().rows() == [(3,)]
    assert sorted(tables.appended("t", first, third).collect().rows()) == [(3,), (4,), (5,)]
    nothing = tables.appended("t", third, third).collect()
    assert (nothing.height, nothing.columns) == (0, ["n"])


@pytest.mark.parametrize("mode", ["overwrite", "merge"])
def test_rows_that_were_changed_or_removed_want_the_whole_table(
    tables: Any, put: Callable[..., int], mode: str
) -> None:
    first = put("append", 1, 2)
    put(mode, *([2] if mode == "overwrite" else [2, 3]), more=[0.5] if mode == "overwrite" else [0.5, 0.6])
    last = put("append", 4, more=[0.7])
    assert tables.appended("t", first, last) is None
    assert tables.appended("t", last - 1, last).collect().rows() == [(4, 0.7)]


def test_a_new_column_wants_the_whole_table(tables: Any, put: Callable[..., int]) -> None:
    first = put("append", 1)
    assert tables.appended("t", first, put("append", 2, word=["a"])) is None
