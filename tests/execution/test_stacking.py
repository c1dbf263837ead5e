"""Items of a map as rows of one table, and maps over nothing."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from trikk import FeatureTable, Table, pipeline, step
from trikk.core.errors import CodecError
from trikk.storage.frames import rows_of
from trikk.storage.tables.versioned_tables import Tables
from trikk.testing import MemoryTables, run_inline

made = Table("made")
NAN = float("nan")


@step
def item(value: Any) -> Any:
    return value


@step
def days(n: int) -> list[int]:
    return list(range(n))


@step
def day(n: int) -> pl.DataFrame:
    frame = pl.DataFrame({"n": [n], "x": [None if n == 0 else n if n == 1 else n + 0.5]}, strict=False)
    return frame if n != 1 else frame.select("x", "n")


@step
def seen(rows: pl.DataFrame) -> list[int]:
    return rows["n"].to_list()


@pipeline
def nightly(n: int) -> None:
    made.append(day.map(days(n)))


STACKED: dict[str, tuple[list[Any], pl.DataFrame]] = {
    "columns in another order": (
        [pl.DataFrame({"a": [1], "b": ["x"]}), pl.DataFrame({"b": ["y"], "a": [2]})],
        pl.DataFrame({"a": [1, 2], "b": ["x", "y"]})),
    "whole numbers beside floats": (
        [pl.DataFrame({"a": [1, None]}), pl.DataFrame({"a": [2.5]})], pl.DataFrame({"a": [1.0, None, 2.5]})),
    "short beside long": (
        [pl.DataFrame({"a": [1]}, schema={"a": pl.Int8}), pl.DataFrame({"a": [2**40]})],
        pl.DataFrame({"a": [1, 2**40]})),
    "unsigned beside signed": (
        [pl.DataFrame({"a": [2**32 - 1]}, schema={"a": pl.UInt32}), pl.DataFrame({"a": [-1]})],
        pl.DataFrame({"a": [2**32 - 1, -1]})),
    "nulls beside values": (
        [pl.DataFrame({"a": [None]}), pl.DataFrame({"a": [date(2020, 1, 1)]}), pl.DataFrame({"a": [None]})],
        pl.DataFrame({"a": [None, date(2020, 1, 1), None]})),
    "NaN beside whole numbers": (
        [pd.DataFrame({"a": [NAN]}), pl.DataFrame({"a": [2**53 + 1]}), pl.DataFrame({"a": [NAN]})],
        pl.DataFrame({"a": [None, 2**53 + 1, None]})),
    "NaN beside texts": (
        [pd.DataFrame({"a": [NAN]}), pl.DataFrame({"a": ["x"]})], pl.DataFrame({"a": [None, "x"]})),
    "lists of nothing": (
        [pl.DataFrame({"a": [[None], []]}), pl.DataFrame({"a": [[1]]})], pl.DataFrame({"a": [[None], [], [1]]})),
    "structs in parts": (
        [pl.DataFrame({"a": [{"u": 1, "v": None}]}), pl.DataFrame({"a": [{"u": 2, "v": "x"}]})],
        pl.DataFrame({"a": [{"u": 1, "v": None}, {"u": 2, "v": "x"}]})),
    "libraries": (
        [pd.DataFrame({"a": [1]}, index=[5]), pl.LazyFrame({"a": [2]}), pl.DataFrame({"a": [3]}).to_arrow()],
        pl.DataFrame({"a": [1, 2, 3]})),
    "categories beside texts": (
        [pl.DataFrame({"a": ["x"]}, schema={"a": pl.Categorical}), pl.DataFrame({"a": ["y"]})],
        pl.DataFrame({"a": ["x", "y"]})),
    "frames without columns": ([pl.DataFrame(), pl.DataFrame({"a": [1]})], pl.DataFrame({"a": [1]})),
    "lists in lists": ([[pl.DataFrame({"a": [1]})], [pl.DataFrame({"a": [2]})]], pl.DataFrame({"a": [1, 2]})),
    "nothing": ([], pl.DataFrame()),
}  # fmt: skip


@pytest.mark.parametrize("name", STACKED)
def test_frames_are_stacked_by_name_where_nothing_is_lost(name: str) -> None:
    parts, expected = STACKED[name]
    found = rows_of(parts)
    assert found.schema == expected.schema
    assert found.equals(expected)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([{"a": [1]}, {"a": ["x"]}], "column 'a' is Int64 in item 0 and String in item 1"),
        ([{"a": [None]}, {"a": [True]}, {"a": [1]}], "column 'a' is Boolean in item 1 and Int64 in item 2"),
        ([{"a": [1], "b": [1]}, {"a": [1]}], "column 'b' of item 0 is missing from item 1"),
        ([{"a": [1]}, {"a": [1], "c": [1]}], "column 'c' of item 1 is missing from item 0"),
        ([{"a": [2**53 + 1]}, {"a": [0.5]}], "column 'a' has whole numbers in item 0 that are none as Float64"),
        ([{"a": [[1]]}, {"a": [["x"]]}], "column 'a' is List.Int64. in item 0"),
    ],
)
def test_frames_that_do_not_go_together_are_refused_by_column_and_item(parts: list[Any], message: str) -> None:
    with pytest.raises(CodecError, match=message) as error:
        rows_of([pl.DataFrame(part) for part in parts])
    assert error.value.next


def test_a_map_s_items_go_into_a_table_in_any_order_of_columns() -> None:
    run = run_inline(nightly, n=3)
    assert run.state == "succeeded", run.error
    assert run.table("made").equals(pl.DataFrame({"n": [0, 1, 2], "x": [None, 1.0, 2.5]}))


@pytest.mark.parametrize("real", [False, True], ids=["memory", "real"])
def test_a_map_over_nothing_writes_no_rows(tmp_path: Path, real: bool) -> None:
    tables = Tables(str(tmp_path)) if real else MemoryTables()
    first = run_inline(nightly, n=0, tables=tables)
    assert first.state == "succeeded", first.error
    assert tables.version("made") is None
    assert run_inline(nightly, n=3, tables=tables).state == "succeeded"
    assert run_inline(nightly, n=0, tables=tables).state == "succeeded"
    assert tables.version("made") == 1
    assert tables.scan("made").collect()["n"].to_list() == [0, 1, 2]


@pytest.mark.parametrize("how", ["append", "merge", "overwrite"])
def test_every_way_of_writing_takes_nothing(how: str) -> None:
    @pipeline
    def write() -> None:
        key: dict[str, Any] = {"key": ["n"]} if how == "merge" else {}
        getattr(made, how)(item.map(days(0)), **key)
        seen(made)

    run = run_inline(write, tables={"made": pl.DataFrame({"n": [1, 2]})})
    assert run.state == "succeeded", run.error
    assert run.output("seen") == ([] if how == "overwrite" else [1, 2])
    assert run.table("made").schema == {"n": pl.Int64}


def test_a_table_that_nothing_was_written_into_is_said_to_be_missing() -> None:
    @pipeline
    def write() -> None:
        made.append(item.map(days(0)))
        item(made)

    run = run_inline(write)
    assert run.state == "failed"
    assert "nothing was written into it" in str(run.error)


def test_feature_tables_take_nothing_and_columns_without_values() -> None:
    features = FeatureTable(
        "features", entity="id", time="at", features={"x": pl.Float64, "y": pl.List(pl.String)}
    )

    @step
    def facts(n: int) -> pl.DataFrame:
        values: dict[str, Any] = {"id": [n], "at": [date(2020, 1, 1 + n)], "x": [None], "y": [[None]]}
        return pl.DataFrame(values).cast({"at": pl.Datetime("us", "UTC")})

    @pipeline
    def write(n: int) -> None:
        features.append(facts.map(days(n)))

    tables = MemoryTables()
    for n in (0, 2, 0):
        run = run_inline(write, n=n, tables=tables)
        assert run.state == "succeeded", run.error
    found = tables.scan("features").collect()
    assert found.height == 2
    assert found.schema["x"] == pl.Float64
    assert found.schema["y"] == pl.List(pl.String)


@pytest.mark.parametrize(
    "column", [pl.Series([None, None]), pl.Series([NAN, NAN]), pl.Series(["a"] * 0 + [None] * 2, dtype=pl.String)]
)
def test_a_model_s_input_without_values_is_of_the_type_that_it_takes(column: pl.Series) -> None:
    from trikk.models.signature import Field, checked

    for dtype in ("Int64", "Float32", "String", "Boolean", "Datetime(time_unit='us', time_zone='UTC')"):
        found = checked(column.alias("x"), Field("x", dtype, nullable=True))
        assert str(found.dtype) == dtype
        assert found.null_count() == 2 or found.is_nan().all()
