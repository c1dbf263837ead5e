from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing.parametric import dataframes

from trikk.core.errors import TableError
from trikk.storage.frames import rows_of
from trikk.storage.tables import table_write
from trikk.storage.tables.types import storable
from trikk.storage.tables.versioned_tables import Tables, Write
from trikk.testing import MemoryTables

MOMENT = datetime(2020, 3, 26, 4, 0, 0, 123456)  # noqa: DTZ001  # a timestamp without time zone
KEPT: list[tuple[Any, Any, Any]] = [
    (pl.UInt8, pl.Int16, 255),
    (pl.UInt16, pl.Int32, 65535),
    (pl.UInt32, pl.Int64, 2**32 - 1),
    (pl.UInt64, pl.Int64, 2**63 - 1),
    (pl.Int128, pl.Int64, -(2**63)),
    (pl.Int8, pl.Int8, -128),
    (pl.Float32, pl.Float32, 0.5),
    (pl.Categorical, pl.String, "a"),
    (pl.Enum(["a", "b"]), pl.String, "b"),
    (pl.Datetime("ns"), pl.Datetime("us"), MOMENT),
    (pl.Datetime("ms", "UTC"), pl.Datetime("us", "UTC"), datetime(2020, 1, 1, tzinfo=UTC)),
    (pl.Datetime("us", "Europe/Oslo"), pl.Datetime("us", "UTC"), datetime(2020, 7, 1, tzinfo=UTC)),
    (pl.Date, pl.Date, date(2020, 3, 26)),
    (pl.Decimal(10, 2), pl.Decimal(10, 2), Decimal("1.25")),
    (pl.Binary, pl.Binary, b"\x00\xff"),
    (pl.Boolean, pl.Boolean, True),
    (pl.Array(pl.UInt8, 2), pl.List(pl.Int16), [1, 255]),
    (pl.List(pl.Categorical), pl.List(pl.String), ["a", None]),
    (pl.Struct({"a": pl.UInt32, "b": pl.Datetime("ns")}), pl.Struct({"a": pl.Int64, "b": pl.Datetime("us")}),
     {"a": 1, "b": MOMENT}),
]  # fmt: skip


@pytest.mark.parametrize(("given_type", "stored", "value"), KEPT, ids=lambda x: str(x)[:20])
def test_every_type_is_stored_and_read_back(tmp_path: Path, given_type: Any, stored: Any, value: Any) -> None:
    frame = pl.DataFrame({"x": pl.Series([value, None], dtype=given_type)})
    tables = Tables(str(tmp_path))
    for identity in ("1", "2"):
        tables.write("t", Write("append", frame), identity=identity, origin={})
    found = tables.scan("t").collect()
    assert found.schema["x"] == stored
    assert found["x"].to_list() == [value, None] * 2
    assert storable(frame).schema["x"] == stored


@pytest.mark.parametrize(
    "column",
    [
        pl.Series("x", [timedelta(1)]),
        pl.Series("x", [None], dtype=pl.Time),
        pl.Series("x", [object()], dtype=pl.Object),
        pl.Series("x", [{}], dtype=pl.Struct([])),
    ],
    ids=lambda s: str(s.dtype)[:20],
)
def test_what_a_table_can_not_hold_is_named_with_the_mend(tmp_path: Path, column: pl.Series) -> None:
    with pytest.raises(TableError) as error:
        Tables(str(tmp_path)).write("t", Write("append", column.to_frame()), identity="1", origin={})
    assert "'x" in error.value.what
    assert error.value.next
    assert Tables(str(tmp_path)).version("t") is None


def test_a_number_too_big_for_the_table_is_an_error(tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": pl.Series([2**63], dtype=pl.UInt64)})
    with pytest.raises(TableError, match="'x'"):
        Tables(str(tmp_path)).write("t", Write("append", frame), identity="1", origin={})


NAN = float("nan")
TYPED: list[pl.Series] = [
    pl.Series([0.5]),
    pl.Series([2**53 + 1]),
    pl.Series(["a"]),
    pl.Series([True]),
    pl.Series([b"a"]),
    pl.Series([date(2020, 3, 26)]),
    pl.Series([datetime(2020, 3, 26, tzinfo=UTC)], dtype=pl.Datetime("us", "UTC")),
    pl.Series([Decimal("1.25")], dtype=pl.Decimal(10, 2)),
    pl.Series([[1, None]], dtype=pl.List(pl.Int32)),
    pl.Series([{"a": 1, "b": ["x"]}]),
]
VALUELESS: dict[str, pl.Series] = {
    "null": pl.Series([None, None]),
    "texts": pl.Series([None, None], dtype=pl.String),
    "integers": pl.Series([None, None], dtype=pl.Int8),
    "NaN": pl.Series([NAN, None]),
    "moments": pl.Series([None, None], dtype=pl.Datetime("ns")),
    "lists": pl.Series([None, None], dtype=pl.List(pl.Null)),
    "pandas' None": rows_of(pd.DataFrame({"x": [None, None]}))["x"],
    "pandas' NaN": rows_of(pd.DataFrame({"x": [NAN, NAN]}))["x"],
    "pandas' NaT": rows_of(pd.DataFrame({"x": [pd.NaT, pd.NaT]}))["x"],
    "pandas' NA": rows_of(pd.DataFrame({"x": [pd.NA, pd.NA]}))["x"],
}
NESTED: dict[str, tuple[pl.Series, pl.Series, list[Any]]] = {
    "list of nulls": (pl.Series([[1]]), pl.Series([[None, None], []]), [[None, None], []]),
    "empty lists": (pl.Series([["a"]]), pl.Series([[], None]), [[], None]),
    "list of NaN": (pl.Series([[1]]), pl.Series([[NAN]]), [[None]]),
    "struct with a null": (
        pl.Series([{"a": 1, "b": "x"}]), pl.Series([{"a": 2, "b": None}]), [{"a": 2, "b": None}]),
    "deep": (
        pl.Series([[{"a": [date(2020, 1, 1)], "b": 1}]]),
        pl.Series([[{"a": [None], "b": 2}, None]]), [[{"a": [None], "b": 2}, None]]),
    "array": (pl.Series([["a"]]), pl.Series([[None, None]], dtype=pl.Array(pl.Null, 2)), [[None, None]]),
}  # fmt: skip


def appended(place: Any, *columns: pl.Series) -> pl.DataFrame:
    for n, column in enumerate(columns):
        rows = pl.DataFrame({"n": range(len(column)), "x": column})
        place.write("t", Write("append", rows), identity=str(n), origin={})
    found: pl.DataFrame = place.scan("t").collect()
    return found


@pytest.mark.parametrize("name", VALUELESS)
@pytest.mark.parametrize("typed", TYPED, ids=lambda s: str(s.dtype)[:20])
def test_a_column_without_values_takes_the_type_of_the_table(typed: pl.Series, name: str) -> None:
    found = appended(MemoryTables(), typed, VALUELESS[name], typed)
    assert found.schema["x"] == typed.dtype
    kept = [NAN, None] if typed.dtype.is_float() and name == "NaN" else [None, None]
    assert found["x"].equals(pl.Series([*typed, *kept, *typed], dtype=typed.dtype))


@pytest.mark.parametrize("name", VALUELESS)
@pytest.mark.parametrize("typed", TYPED, ids=lambda s: str(s.dtype)[:20])
def test_the_first_values_give_a_column_without_values_its_type(typed: pl.Series, name: str) -> None:
    found = appended(MemoryTables(), VALUELESS[name], typed, VALUELESS[name])
    assert found.schema["x"] == typed.dtype
    assert found["x"].drop_nulls().drop_nans().to_list() == typed.to_list() if typed.dtype.is_float() else True
    assert found["x"][2] == typed[0] if not typed.dtype.is_nested() else found["x"].null_count() == 4


@pytest.mark.parametrize("name", NESTED)
@pytest.mark.parametrize("real", [False, True], ids=["memory", "real"])
def test_parts_without_values_fit_in_lists_and_structs(tmp_path: Path, name: str, real: bool) -> None:
    typed, given_rows, expected = NESTED[name]
    for folder, columns in (("1", [typed, given_rows]), ("2", [given_rows, typed])):
        found = appended(Tables(str(tmp_path / folder)) if real else MemoryTables(), *columns)
        assert found.schema["x"] == typed.dtype
        whole = [c.to_list() if c is typed else expected for c in columns]
        assert found["x"].to_list() == whole[0] + whole[1]


@pytest.mark.parametrize(
    ("there", "given_rows"),
    [(["a", None], [1, None]), ([1.5], [2]), ([[1]], [["a"]]), ([{"a": 1}], [{"a": "b"}]), ([True], [1])],
)
def test_a_column_with_values_is_still_refused(tmp_path: Path, there: list[Any], given_rows: list[Any]) -> None:
    for place in (MemoryTables(), Tables(str(tmp_path))):
        with pytest.raises(TableError, match=r"'x' is .*, the table has"):
            appended(place, pl.Series(there), pl.Series(given_rows))
        assert place.version("t") == 0


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_first_values_come_into_a_real_table_once_with_all_that_was_there(tmp_path: Path, mode: Any) -> None:
    tables = Tables(str(tmp_path))
    first = pl.DataFrame({"k": [1, 2], "x": [None, None], "y": [NAN, NAN], "z": ["a", "b"]})
    second = pl.DataFrame({"k": [2, 3], "x": [date(2020, 1, 1), None], "y": ["u", None], "z": ["c", "d"]})
    tables.write("t", Write("merge", first, key=("k",)), identity="1", origin={"run": "r"})
    seen = tables.view("t", 0, [Write(mode, second, key=("k",))]).collect()
    for repeated in (False, True):
        made = tables.write("t", Write(mode, second, key=("k",)), identity="2", origin={"run": "r"})
        assert (made.repeated, made.rows, made.inserted) == (repeated, 2, 1)
    found = tables.scan("t").collect()
    assert found.schema == {"k": pl.Int64, "x": pl.Date, "y": pl.String, "z": pl.String}
    assert found.sort("k").equals(seen.sort("k"))
    assert found.sort("k")["z"].to_list() == (["a", "b", "d"] if mode == "append" else ["a", "c", "d"])
    assert tables.scan("t", 0).collect().schema["x"] == pl.String
    assert [write.mode for write in tables.describe("t").history] == [mode, "types", "merge"]


def test_other_writers_come_between_a_column_s_type_and_its_first_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = Tables(str(tmp_path)), Tables(str(tmp_path))
    one.write("t", Write("append", pl.DataFrame({"x": [None]})), identity="1", origin={})
    first = table_write.with_first_values

    def slow(*args: Any, **more: Any) -> Any:
        found = first(*args, **more)
        if found:
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(table_write, "with_first_values", first)
                patched.setattr(Tables, "_lock", lambda *_: contextlib.nullcontext())
                two.write("t", Write("append", pl.DataFrame({"x": ["a"]})), identity="other", origin={})
        return found

    monkeypatch.setattr(table_write, "with_first_values", slow)
    with pytest.raises(TableError, match="'x' is Int64, the table has String"):
        one.write("t", Write("append", pl.DataFrame({"x": [1]})), identity="2", origin={})
    assert one.scan("t").collect()["x"].to_list() == [None, "a"]


def test_names_that_differ_only_in_case_are_refused() -> None:
    with pytest.raises(TableError, match="case"):
        storable(pl.DataFrame({"a": [1], "A": [2]}))
    with pytest.raises(TableError, match="at least one column"):
        storable(pl.DataFrame())


@settings(max_examples=30, deadline=None)
@given(
    frame=dataframes(
        min_cols=1,
        max_cols=4,
        max_size=4,
        allowed_dtypes=[
            pl.Int8,
            pl.UInt16,
            pl.Float64,
            pl.String,
            pl.Date,
            pl.Boolean,
            pl.Binary,
            pl.List(pl.UInt8),
        ],
    ),
    lazy=st.booleans(),
)
def test_any_frame_comes_back_as_its_storable_form(
    tmp_path_factory: pytest.TempPathFactory, frame: pl.DataFrame, lazy: bool
) -> None:
    tables = Tables(str(tmp_path_factory.mktemp("t")))
    tables.write("t", Write("append", frame.lazy() if lazy else frame), identity="1", origin={})
    assert tables.scan("t").collect().equals(storable(frame))
