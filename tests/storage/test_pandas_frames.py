"""What goes through pandas comes back as it was, or is refused."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from trikk import Table, pipeline, step
from trikk.core.errors import CodecError, TableError
from trikk.storage.artifacts import Artifacts
from trikk.storage.codecs.pandas_ipc import _all_same
from trikk.storage.frames import as_kind, rows_of
from trikk.storage.stores.memory_store import MemoryStore
from trikk.storage.tables.versioned_tables import Tables, Write
from trikk.testing import run_inline

BIG = 2**53 + 1
MOMENT = datetime(2020, 3, 26, 4, 0, 0, 123456)  # noqa: DTZ001 - a moment without a zone


@pytest.fixture
def artifacts() -> Artifacts:
    return Artifacts(MemoryStore())


WITH_NULLS: dict[str, pl.Series] = {
    **{
        str(dtype): pl.Series([value, None], dtype=dtype)
        for dtype, value in [
            (pl.Int8, -128),
            (pl.Int16, -(2**15)),
            (pl.Int32, 2**31 - 1),
            (pl.Int64, BIG),
            (pl.UInt8, 255),
            (pl.UInt16, 2**16 - 1),
            (pl.UInt32, 2**32 - 1),
            (pl.UInt64, 2**64 - 1),
            (pl.Boolean, True),
            (pl.Float32, 0.5),
            (pl.Float64, 1e300),
            (pl.String, "a"),
            (pl.Binary, b"\x00\xff"),
            (pl.Date, date(1, 1, 1)),
            (pl.Time, time(1, 2, 3, 4)),
            (pl.Duration("us"), timedelta(days=-3)),
            (pl.Duration("ns"), timedelta(days=3)),
            (pl.Datetime("us"), MOMENT),
            (pl.Datetime("ms", "UTC"), datetime(2020, 1, 1, tzinfo=UTC)),
            (pl.Datetime("ns", "Europe/Oslo"), datetime(2020, 7, 1, tzinfo=ZoneInfo("Europe/Oslo"))),
            (pl.Decimal(12, 3), Decimal("1.250")),
            (pl.Categorical, "a"),
            (pl.List(pl.Int64), [BIG, None]),
            (pl.List(pl.Int32), [1, 2]),
            (pl.List(pl.Boolean), [True, None]),
            (pl.List(pl.Date), [date(2020, 1, 1), None]),
            (pl.List(pl.String), []),
            (pl.Array(pl.Int8, 2), [1, None]),
            (pl.Struct({"a": pl.Int32, "b": pl.Float32}), {"a": None, "b": 0.5}),
            (pl.Struct({"a": pl.List(pl.Int64)}), {"a": [BIG, None]}),
            (pl.List(pl.Struct({"a": pl.Int64})), [{"a": BIG}, {"a": None}]),
            (pl.Null, None),
        ]
    },
    "nanoseconds": pl.Series([1, None]).cast(pl.Time),
}


@pytest.mark.parametrize("name", WITH_NULLS)
@pytest.mark.parametrize("rows", [2, 1, 0], ids=["a null", "no null", "no rows"])
def test_every_type_comes_back_from_pandas_as_it_was(artifacts: Artifacts, name: str, rows: int) -> None:
    frame = WITH_NULLS[name].head(rows).alias("x").to_frame()
    there = as_kind(frame, "pandas.DataFrame")
    stored = artifacts.load(artifacts.save(frame), pd.DataFrame)
    if name == "Date":
        assert (there.dtypes["x"], stored.dtypes["x"]) == ("datetime64[ms]", object)
        stored["x"] = stored["x"].astype("datetime64[ms]")
    if name != "List(Date)":
        pd.testing.assert_frame_equal(there, stored)
    again = artifacts.load(artifacts.save(there), pl.DataFrame)
    for back in (again, rows_of(there)):
        if name.startswith("Decimal") or name in ("Date", "List(Date)"):
            back = back.cast(frame.schema)
        if rows or back.schema["x"] != pl.Null:  # objects that are not there have no type
            assert back.equals(frame)
            assert back.schema == frame.schema


DATES = pl.DataFrame({"day": [date(2024, 2, 29), None], "price": [Decimal("1.50"), None]}).cast(
    {"price": pl.Decimal(38, 2)}
)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (
            {"day": [MOMENT.replace(microsecond=0), None]},
            "'day' has 2020-03-26 04:00:00.000000 in row 0, which is no Date",
        ),
        ({"day": [None, MOMENT.min.replace(microsecond=1)]}, "'day' has 0001-01-01 00:00:00.000001 in row 1"),
        ({"day": [datetime(2024, 1, 1, tzinfo=UTC)] * 2}, "'day' is Datetime"),
        ({"price": [Decimal("1.5"), Decimal("1.505")]}, "'price' has 1.505 in row 1, which is no Decimal"),
        ({"price": [0.5, 1.5]}, "'price' is Float64"),
    ],
)
@pytest.mark.parametrize("mode", ["append", "merge"])
def test_moments_that_are_no_dates_are_refused(
    tmp_path: Path, mode: Any, values: dict[str, list[object]], says: str
) -> None:
    tables = Tables(str(tmp_path))
    key = ("price",) if mode == "merge" and "day" in values else ("day",) if mode == "merge" else ()
    tables.write("days", Write("overwrite", DATES.drop_nulls()), identity="a", origin={})
    rows = pl.DataFrame(
        {**{name: DATES[name].drop_nulls().extend_constant(None, 1) for name in DATES.columns}, **values}
    )
    with pytest.raises(TableError) as error:
        tables.write("days", Write(mode, rows, key=key), identity="b", origin={})
    assert says in str(error.value)
    assert error.value.next
    assert tables.version("days") == 0


def test_midnights_and_decimals_of_pandas_go_into_a_table_of_dates(tmp_path: Path) -> None:
    tables = Tables(str(tmp_path))
    tables.write("days", Write("overwrite", DATES), identity="a", origin={})
    there = as_kind(tables.scan("days").collect(), "pandas.DataFrame")
    assert there["day"].dt.month.tolist()[0] == 2
    assert there["price"][0] == Decimal("1.50")
    for number, frame in enumerate(
        [
            there,
            there.astype({"day": "datetime64[ns]"}),
            there.assign(price=[None, Decimal(3)]),
            pl.DataFrame({"day": [MOMENT.min], "price": [Decimal("1.5")]}),
        ]
    ):
        tables.write("days", Write("append", rows_of(frame)), identity=str(number), origin={})
    found = tables.scan("days").collect()
    assert found.schema == DATES.schema
    assert found["day"].to_list() == [date(2024, 2, 29), None] * 4 + [date(1, 1, 1)]
    assert found["price"].drop_nulls().to_list() == [Decimal(n) for n in ("1.50", "1.50", "1.50", "3", "1.5")]


@pytest.mark.parametrize(
    ("column", "shown"),
    [
        (
            pl.Series([0, 1_700_000_000_000_000_001]).cast(pl.Datetime("ns")),
            "2023-11-14 22:13:20.000000001 in row 1",
        ),
        (pl.Series([1]).cast(pl.Datetime("ns", "Europe/Oslo")), "1970-01-01 01:00:00.000000001+01:00 in row 0"),
        (pl.Series([[1]]).cast(pl.List(pl.Datetime("ns"))), "in row 0"),
        (pl.Series([2**63], dtype=pl.UInt64), "9223372036854775808 in row 0"),
        (pl.Series([-1, 2**63], dtype=pl.Int128), "9223372036854775808 in row 1"),
    ],
)
def test_values_that_a_table_would_change_are_refused(column: pl.Series, shown: str) -> None:
    @step
    def rows() -> pl.DataFrame:
        return column.alias("x").to_frame()

    @pipeline
    def write() -> None:
        Table("kept").append(rows())

    run = run_inline(write)
    assert run.state == "failed"
    assert shown in str(run.error)
    assert "which a table can't hold" in str(run.error)
    column = column.clear()
    assert run_inline(write).state == "succeeded"


def test_whole_numbers_with_nulls_are_nullable_in_pandas_and_others_stay() -> None:
    frame = pl.DataFrame({"a": [BIG, None], "b": [BIG, 1], "c": [True, None], "d": [0.5, None], "e": ["x", None]})
    made = as_kind(frame, "pandas.DataFrame")
    assert list(map(str, made.dtypes)) == ["Int64", "int64", "boolean", "float64", "str"]
    assert made["a"][0] == BIG
    assert as_kind(frame["a"], "pandas.Series").dtype == "Int64"
    assert as_kind(frame.to_arrow(), "pandas.DataFrame").equals(made)


def test_a_type_that_pandas_can_not_hold_is_refused() -> None:
    with pytest.raises(CodecError, match="can't be given to Arrow or pandas"):
        as_kind(pl.DataFrame({"x": pl.Series([1], dtype=pl.Int128)}), "pandas.DataFrame")


def test_a_table_read_as_pandas_is_appended_as_it_was(tmp_path: Path) -> None:
    names = [name for name in WITH_NULLS if not name.startswith(("Time", "Duration", "nano", "UInt64"))]
    columns = [WITH_NULLS[name].alias(f"c{n}") for n, name in enumerate(names)]
    twice = Table("twice")

    @step
    def through(rows: pd.DataFrame) -> pd.DataFrame:
        return rows

    @pipeline
    def copy() -> None:
        twice.append(through(twice))

    run = run_inline(copy, tables={"twice": (frame := pl.DataFrame(columns).filter(pl.col("c0") < 0))})
    assert run.state == "succeeded", run.error
    for rows in (pl.DataFrame(columns), frame, pl.DataFrame(columns).tail(1), frame.clear()):
        run = run_inline(copy, tables={"twice": rows})
        assert run.state == "succeeded", run.error
        before = run.tables.scan("twice", 0).collect()
        assert run.table("twice").equals(pl.concat([before, before]))


OBJECTS: dict[str, list[Any]] = {
    "lists": [[1, 2], None],
    "lists with nulls": [[BIG, None], []],
    "arrays": [np.array([1.0, np.nan]), np.array([])],
    "dicts": [{"a": 1, "b": [1]}, {"a": None, "b": None}],
    "sets": [{1, 2}, set()],
    "tuples": [(1, 2), (3,), None],
    "decimals": [Decimal("1.50"), Decimal("-2.25"), None],
    "timestamps": [pd.Timestamp(MOMENT), None],
    "timestamps and NaT": [pd.Timestamp(MOMENT, tz="Europe/Oslo"), pd.NaT],
    "spans": [pd.Timedelta(1, "s"), None],
    "moments": [MOMENT, None],
    "moments in a zone": [datetime(2020, 7, 1, tzinfo=ZoneInfo("Europe/Oslo"))],
    "Python's spans": [timedelta(1), None],
    "dates": [date(2020, 1, 1), None],
    "times": [time(1), None],
    "integers": [BIG, None],
    "integers and NaN": [BIG, float("nan")],
    "integers and NA": [BIG, pd.NA],
    "NumPy's integers": [np.int8(1), None],
    "floats": [0.5, None],
    "floats and NaN": [0.5, float("nan")],
    "booleans": [True, None],
    "texts": ["a", "b"],
    "texts and None": ["a", None],
    "texts and NaN": ["a", float("nan")],
    "bytes": [b"", None],
    "identities": [uuid.UUID(int=1)],
    "None": [None, None],
    "NaN": [float("nan")] * 2,
    "NaT": [pd.NaT] * 2,
    "nothing": [],
}
CHANGED: dict[str, list[Any]] = {
    "frozen sets": [frozenset({"a"}), None],
    "dicts with other keys": [{"a": 1}, {"b": 2}],
    "dicts in another order": [{"a": 1, "b": 2}, {"b": 1, "a": 2}],
    "sets in lists": [[{1}], [{2}]],
    "tuples in dicts": [{"a": (1, 2)}],
    "sets and lists": [{1}, [1]],
    "integers and floats": [1, 2.5],
    "integers and booleans": [1, True],
    "dates and timestamps": [date(2020, 1, 1), pd.Timestamp(MOMENT)],
    "zones": [pd.Timestamp(MOMENT, tz="UTC"), pd.Timestamp(MOMENT, tz="Europe/Oslo")],
    "two kinds of nothing": ["a", None, float("nan")],
    "texts and numbers": ["a", 1],
    "integers beyond 64 bits": [2**70],
    "paths": [Path("a")],
}


def column(values: list[Any]) -> pd.DataFrame:
    cells = np.empty(len(values), dtype=object)
    for n, value in enumerate(values):
        cells[n] = value
    return pd.DataFrame({"x": pd.Series(cells, dtype=object), "n": range(len(values))})


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_come_back_as_they_were(artifacts: Artifacts, name: str) -> None:
    frame = column(OBJECTS[name])
    for kept in (frame, frame["x"]):
        back = artifacts.load(artifacts.save({"inside": [kept]}))["inside"][0]
        found = back if isinstance(back, pd.Series) else back["x"]
        assert found.dtype == object
        assert _all_same(found.tolist(), OBJECTS[name])


@pytest.mark.parametrize("name", CHANGED)
def test_objects_that_would_change_are_refused_with_the_column(artifacts: Artifacts, name: str) -> None:
    with pytest.raises(CodecError, match="x") as error:
        artifacts.save([column(CHANGED[name])])
    assert "json.dumps" in str(error.value.next)


LABELS: dict[str, Any] = {
    "numbers and texts": [0, "a"],
    "texts and None": ["a", None],
    "booleans": [True, False],
    "tuples": pd.Index([("a", 1), ("b", 2)], tupleize_cols=False),
    "levels": pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["p", None]),
    "numbers": [7, 8],
    "floats": [0.5, 1.5],
    "moments": list(pd.to_datetime(["2020", "2021"])),
    "a name": pd.Index(["a", "b"], name="k"),
    "a number as name": pd.Index(["a", "b"], name=0),
}
INDEXES: dict[str, Any] = {
    "a range": pd.RangeIndex(2, 4, name="n"),
    "numbers": pd.Index([5, 3]),
    "a number as name": pd.Index([5, 3], name=0),
    "texts": pd.Index(["b", "a"], name="x"),
    "texts twice": pd.Index(["a", "a"], dtype=object),
    "levels": pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", None]),
    "days": pd.date_range("2020-01-01", periods=2, tz="Europe/Oslo"),
    "dates": pd.Index([date(2020, 1, 1), date(2020, 1, 2)]),
    "categories": pd.CategoricalIndex(["a", "b"]),
    "months": pd.period_range("2020-01", periods=2, freq="M"),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_come_back_as_they_were(artifacts: Artifacts, name: str) -> None:
    frame = pd.DataFrame([[1, 2], [3, 4]])
    frame.columns = LABELS[name]
    back = artifacts.load(artifacts.save(frame))
    assert _all_same(list(back.columns), list(frame.columns))
    assert _all_same(list(back.columns.names), list(frame.columns.names))
    assert back.columns.nlevels == frame.columns.nlevels
    assert back.to_numpy().tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("name", INDEXES)
def test_an_index_comes_back_as_it_was(artifacts: Artifacts, name: str) -> None:
    frame = pd.DataFrame({"c": [1, 2]}, index=INDEXES[name])
    back = artifacts.load(artifacts.save(frame))
    assert type(back.index) is type(frame.index)
    assert _all_same(back.index.tolist(), frame.index.tolist())
    assert _all_same(list(back.index.names), list(frame.index.names))
    assert artifacts.load(artifacts.save(frame), pl.DataFrame)["c"].to_list() == [1, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": ["a", "a"]}, "two columns of this pandas.DataFrame are labelled 'a' and 'a'"),
        ({"columns": ["0", 0]}, "are labelled '0' and 0"),
        ({"columns": [date(2020, 1, 1), date(2020, 1, 2)]}, "would not come back"),
        (
            {"columns": pd.MultiIndex.from_tuples([(1, "x"), ("b", 2)])},
            "labels of its columns would not come back",
        ),
        ({"columns": pd.CategoricalIndex(["a", "b"])}, "would not come back"),
        (
            {"index": pd.Index([1, None], dtype="Int64")},
            "index of this pandas.DataFrame .Int64. would come back as f",
        ),
        ({"index": pd.Index([(1, 2), (3, 4)], tupleize_cols=False)}, "would come back as"),
        ({"index": pd.Index([1, "a"])}, "can't be stored"),
    ],
)
def test_labels_and_indexes_that_would_change_are_refused(
    artifacts: Artifacts, change: dict[str, Any], message: str
) -> None:
    frame = pd.DataFrame([[1, 2], [3, 4]])
    for name, value in change.items():
        setattr(frame, name, value)
    with pytest.raises(CodecError, match=message) as error:
        artifacts.save(frame)
    assert error.value.next


def test_types_of_arrow_come_back_in_pandas(artifacts: Artifacts) -> None:
    types = [pa.int64(), pa.list_(pa.int64()), pa.decimal128(9, 2), pa.date32(), pa.struct({"a": pa.int8()})]
    frame = pd.DataFrame({str(t): pd.Series([None, None], dtype=pd.ArrowDtype(t)) for t in types})
    back = artifacts.load(artifacts.save(frame))
    assert back.dtypes.to_list() == frame.dtypes.to_list()


def test_keys_of_a_dict_with_frames_come_back_as_they_were(artifacts: Artifacts) -> None:
    keys = [pd.Timestamp(1), datetime(2020, 7, 1, tzinfo=ZoneInfo("Europe/Oslo")), (1, "a"), 2, np.int64(3)]
    back = artifacts.load(artifacts.save({key: pl.DataFrame({"a": [1]}) for key in keys}))
    assert _all_same(list(back), keys)


def test_objects_of_polars_are_refused_inside_a_list_too(artifacts: Artifacts) -> None:
    with pytest.raises(CodecError, match="Python objects"):
        artifacts.save({"a": [pl.DataFrame({"o": [object()]})]})


def test_rows_of_pandas_go_into_a_real_table_and_back(tmp_path: Path) -> None:
    from trikk.storage.tables.table_write import Write

    tables = Tables(str(tmp_path))
    frame = pl.DataFrame({"n": [BIG, None], "d": pl.Series([Decimal("1.5"), None], dtype=pl.Decimal(10, 2))})
    for identity in ("1", "2"):
        rows = rows_of(as_kind(frame, "pandas.DataFrame"))
        tables.write("t", Write("append", rows), identity=identity, origin={})
    assert tables.scan("t").collect().equals(pl.concat([frame, frame]))
