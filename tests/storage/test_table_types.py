from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing.parametric import dataframes

from trikk.core.errors import TableError
from trikk.storage.table_types import storable
from trikk.storage.tables import Tables, Write

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
        pl.Series("x", [None]),
        pl.Series("x", [timedelta(1)]),
        pl.Series("x", [None], dtype=pl.Time),
        pl.Series("x", [object()], dtype=pl.Object),
        pl.Series("x", [[None]]),
        pl.Series("x", [{"a": None}]),
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


def test_a_column_of_nulls_takes_the_type_of_the_table(tmp_path: Path) -> None:
    tables = Tables(str(tmp_path))
    tables.write("t", Write("append", pl.DataFrame({"x": [0.5]})), identity="1", origin={})
    tables.write("t", Write("append", pl.DataFrame({"x": [None]})), identity="2", origin={})
    assert sorted(tables.scan("t").collect()["x"].to_list(), key=str) == [0.5, None]


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
