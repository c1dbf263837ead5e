from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from trikk.core.digests import digest_bytes
from trikk.core.errors import CodecError
from trikk.storage.codecs import arrow_ipc, polars_ipc
from trikk.storage.codecs.arrow import ArrowCodec

text = st.text(max_size=20)
VALUES: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "int": (pl.Int64, st.integers(-(2**63), 2**63 - 1)),
    "byte": (pl.UInt8, st.integers(0, 255)),
    "float": (pl.Float64, st.floats(allow_nan=True)),
    "bool": (pl.Boolean, st.booleans()),
    "text": (pl.String, text),
    "binary": (pl.Binary, st.binary(max_size=20)),
    "category": (pl.Categorical, text),
    "enum": (pl.Enum(["a", "b"]), st.sampled_from(["a", "b"])),
    "date": (pl.Date, st.dates()),
    "moment": (
        pl.Datetime("us", "UTC"),
        st.datetimes(dt.datetime.fromisoformat("1900-01-01"), timezones=st.just(dt.UTC)),
    ),
    "span": (pl.Duration("us"), st.timedeltas(dt.timedelta(-9999), dt.timedelta(9999))),
    "clock": (pl.Time, st.times()),
    "decimal": (pl.Decimal(12, 2), st.decimals(-9999, 9999, places=2)),
    "list": (pl.List(pl.Int32), st.lists(st.none() | st.integers(-9, 9), max_size=3)),
    "texts": (pl.List(pl.String), st.lists(st.none() | text, max_size=3)),
    "array": (pl.Array(pl.Int8, 2), st.lists(st.none() | st.integers(-9, 9), min_size=2, max_size=2)),
    "struct": (
        pl.Struct({"x": pl.Int64, "y": pl.String}),
        st.fixed_dictionaries({"x": st.none() | st.integers(-9, 9), "y": st.none() | text}),
    ),
    "nested": (
        pl.List(pl.Struct({"x": pl.List(pl.Boolean)})),
        st.lists(st.none() | st.fixed_dictionaries({"x": st.none() | st.lists(st.booleans())}), max_size=2),
    ),
    "nothing": (pl.Null, st.none()),
}
SETTINGS = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def columns(draw: st.DrawFn) -> tuple[list[Any], Any, int, int]:
    dtype, values = VALUES[draw(st.sampled_from(sorted(VALUES)))]
    rows = draw(st.lists(st.none() | values, max_size=24))
    start = draw(st.integers(0, len(rows)))
    return rows, dtype, start, draw(st.integers(0, len(rows) - start))


def digest_of(frame: pl.DataFrame, path: Path) -> str:
    polars_ipc.write(frame, path)
    return digest_bytes(path.read_bytes())


@given(columns())
@SETTINGS
def test_equal_polars_frames_give_equal_bytes_whatever_their_history(
    tmp_path: Path, drawn: tuple[list[Any], Any, int, int]
) -> None:
    rows, dtype, start, length = drawn
    whole = pl.DataFrame({"c": pl.Series(rows, dtype=dtype)})
    part = range(start, start + length)
    index = pl.int_range(pl.len())
    mixed = whole.reverse().with_row_index("n")
    histories = {
        "sliced": whole.slice(start, length),
        "filtered": whole.filter(index.is_between(start, start + length - 1)),
        "gathered": whole[list(part)],
        "sorted": mixed.sort("n", descending=True).drop("n").slice(start, length).cast(whole.schema),
        "chunks": pl.concat(
            [whole.slice(start, length // 2), whole.slice(start + length // 2, length - length // 2)],
            rechunk=False,
        ),
        "lazily": whole.lazy().slice(start, length).collect(engine="streaming"),
    }
    path = tmp_path / "frame.arrow"
    expected = digest_of(pl.DataFrame({"c": pl.Series([rows[i] for i in part], dtype=dtype)}), path)
    assert {name: digest_of(frame, path) for name, frame in histories.items()} == dict.fromkeys(
        histories, expected
    )


FLAT = [pl.Int8, pl.Float64, pl.Boolean, pl.Date, pl.Datetime("us", "UTC"), pl.Decimal(9, 2), pl.String, pl.Binary]


@pytest.mark.parametrize("dtype", FLAT, ids=str)
@pytest.mark.parametrize("rows", [1, 9])
def test_nulls_that_were_dropped_leave_no_trace(tmp_path: Path, dtype: Any, rows: int) -> None:
    text = pl.String if dtype == pl.Binary else dtype
    without = pl.Series("c", range(rows)).cast(text).cast(dtype).to_frame()
    dropped = (
        pl.Series("c", [0, None, *range(1, rows)])
        .cast(text)
        .cast(dtype)
        .to_frame()
        .filter(pl.nth(0).is_not_null())
    )
    path = tmp_path / "frame.arrow"
    assert digest_of(dropped, path) == digest_of(without, path)
    oldest = pl.CompatLevel.oldest()
    arrow_ipc.write(without.to_arrow(compat_level=oldest), path)
    expected = path.read_bytes()
    arrow_ipc.write(dropped.to_arrow(compat_level=oldest), path)
    assert path.read_bytes() == expected


@given(columns())
@SETTINGS
def test_a_polars_frame_comes_back_equal_with_its_types(
    tmp_path: Path, drawn: tuple[list[Any], Any, int, int]
) -> None:
    frame = pl.DataFrame({"c": pl.Series(drawn[0], dtype=drawn[1]), "n": range(len(drawn[0]))})
    codec, path = ArrowCodec(), tmp_path / "frame.arrow"
    summary = codec.dump(frame, path)
    loaded = codec.load(path, None, summary)
    assert loaded.schema == frame.schema
    assert loaded.equals(frame)


@pytest.mark.parametrize("dtype", [pl.Int8, pl.Int16, pl.UInt16, pl.UInt32, pl.UInt64, pl.Float32, pl.Int128])
@pytest.mark.parametrize("values", [[1, None, 3], [1, 2, 3], []])
def test_every_number_type_comes_back(tmp_path: Path, dtype: Any, values: list[int | None]) -> None:
    frame = pl.DataFrame({"c": pl.Series(values, dtype=dtype)})
    summary = ArrowCodec().dump(frame, tmp_path / "f.arrow")
    loaded = ArrowCodec().load(tmp_path / "f.arrow", None, summary)
    assert loaded.equals(frame)
    assert loaded.schema == frame.schema


def test_categories_seen_elsewhere_in_the_process_leave_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "f.arrow"
    pl.Series(["unseen", "other"]).cast(pl.Categorical)
    first = digest_of(pl.DataFrame({"c": pl.Series(["u", None, "v"], dtype=pl.Categorical)}), path)
    longer = pl.DataFrame({"c": pl.Series(["secret", "v", "u", None, "v"], dtype=pl.Categorical)})
    assert digest_of(longer.tail(3), path) == first
    assert b"secret" not in path.read_bytes()


def test_the_batches_of_a_large_frame_do_not_depend_on_its_chunks(tmp_path: Path) -> None:
    whole = pl.DataFrame({"n": range(400_000)}).with_columns(
        s=pl.format("text number {}", pl.col("n") % 1000), f=pl.col("n") / 7, b=pl.col("n") % 3 == 0
    )
    whole = whole.with_columns(
        missing=pl.when(pl.col("b")).then("s"),
        list=pl.concat_list("n", pl.when(pl.col("b")).then("n")),
        struct=pl.when(~pl.col("b")).then(pl.struct("n", "s")),
    )
    halves = pl.concat([whole.slice(0, 123_457), whole.slice(123_457)], rechunk=False)
    kept = pl.concat([whole, whole]).filter(pl.int_range(pl.len()) < 400_000)
    path = tmp_path / "f.arrow"
    assert digest_of(whole, path) == digest_of(halves, path) == digest_of(kept, path)
    assert pl.read_ipc(path).equals(whole)


def test_the_number_of_threads_leaves_no_trace() -> None:
    code = (
        "import polars as pl\n"
        "from trikk.storage.artifacts import Artifacts\n"
        "from trikk.storage.stores.memory_store import MemoryStore\n"
        "frame = pl.DataFrame({'n': range(300_000)})\n"
        "frame = frame.with_columns(l=pl.concat_list('n', 'n'), s=pl.format('{}', 'n'))\n"
        "print(Artifacts(MemoryStore()).save(frame.filter(pl.col('n') % 5 > 0)).digest)\n"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "POLARS_MAX_THREADS": threads},
        ).stdout
        for threads in ("1", "2", "7")
    }
    assert len(digests) == 1


def test_a_lazy_frame_and_its_result_have_the_same_bytes(tmp_path: Path) -> None:
    lazy = pl.LazyFrame({"a": [3, None, 1], "s": ["x", "y", None]}).filter(pl.col("a") != 3)
    codec = ArrowCodec()
    summary = codec.dump(lazy, tmp_path / "lazy.arrow")
    codec.dump(lazy.collect(), tmp_path / "eager.arrow")
    assert (tmp_path / "lazy.arrow").read_bytes() == (tmp_path / "eager.arrow").read_bytes()
    assert isinstance(codec.load(tmp_path / "lazy.arrow", None, summary), pl.LazyFrame)


@given(columns())
@example(([None, 1.0, float("nan")], pl.Float64(), 0, 3))
@SETTINGS
def test_equal_arrow_tables_give_equal_bytes_whatever_their_history(
    tmp_path: Path, drawn: tuple[list[Any], Any, int, int]
) -> None:
    rows, dtype, start, length = drawn
    if dtype in (pl.Categorical, pl.Null) or isinstance(dtype, pl.Enum):
        return
    kind = pl.Series([], dtype=dtype).to_arrow(compat_level=pl.CompatLevel.oldest()).type
    whole = pa.table({"c": pa.array(rows, kind)})
    part = np.arange(start, start + length)
    mask = np.isin(np.arange(len(rows)), part)
    half = length // 2
    histories = {
        "sliced": whole.slice(start, length),
        "filtered": whole.filter(pa.array(mask, pa.bool_())),
        "taken": whole.take(pa.array(part, pa.int64())),
        "chunks": pa.concat_tables([whole.slice(start, half), whole.slice(start + half, length - half)]),
    }
    path = tmp_path / "table.arrow"
    arrow_ipc.write(pa.table({"c": pa.array([rows[i] for i in part], kind)}), path)
    expected = path.read_bytes()
    for name, table in histories.items():
        arrow_ipc.write(table, path)
        assert path.read_bytes() == expected, name
    read, wanted = arrow_ipc.read(path), whole.slice(start, length)
    assert repr(read.to_pylist()) == repr(wanted.to_pylist())  # as text, a NaN equals a NaN
    assert read.schema.equals(wanted.schema)


FRAMES = [
    pd.DataFrame({"a": [1.5, None], "b": ["x", None], "c": pd.Categorical(["u", "v"])}, index=[5, 6]),
    pd.DataFrame({"t": pd.to_datetime(["2020-03-01"]).tz_localize("Europe/Oslo")}),
    pd.DataFrame({"i": pd.array([None, 2], dtype="Int64")}, index=pd.Index(["p", "q"], name="key")),
    pd.DataFrame({1: [1, 2]}, index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", None])),
    pd.DataFrame(),
]


@pytest.mark.parametrize("frame", FRAMES, ids=range(len(FRAMES)))
def test_a_pandas_frame_comes_back_with_index_and_types(tmp_path: Path, frame: pd.DataFrame) -> None:
    summary = ArrowCodec().dump(frame, tmp_path / "f.arrow")
    pd.testing.assert_frame_equal(ArrowCodec().load(tmp_path / "f.arrow", None, summary), frame)


@pytest.mark.parametrize("name", [None, "load", 7])
def test_a_pandas_series_comes_back_with_its_name(tmp_path: Path, name: object) -> None:
    series = pd.Series([1, 2], name=name, index=pd.Index(["a", "b"], name="k"))
    summary = ArrowCodec().dump(series, tmp_path / "f.arrow")
    pd.testing.assert_series_equal(ArrowCodec().load(tmp_path / "f.arrow", None, summary), series)
    assert ArrowCodec().load(tmp_path / "f.arrow", pl.Series, summary).to_list() == [1, 2]


def test_a_consumer_gets_the_kind_of_frame_that_it_asks_for(tmp_path: Path) -> None:
    codec, path = ArrowCodec(), tmp_path / "a[b]*.arrow"
    made = pl.DataFrame({"a": [1, 2], "s": ["x", None]})
    for source in (made, made.lazy(), made.to_arrow(), made.to_arrow().to_batches()[0], made.to_pandas()):
        summary = codec.dump(source, path)
        assert codec.load(path, pl.DataFrame, summary).equals(made)
        assert codec.load(path, pl.LazyFrame, summary).collect().equals(made)
        assert codec.load(path, pa.Table, summary).num_rows == 2
        assert codec.load(path, pa.RecordBatch, summary).num_rows == 2
        assert codec.load(path, pd.DataFrame, summary)["a"].to_list() == [1, 2]
        assert type(codec.load(path, object, summary)) is type(source)
        assert isinstance(codec.load(path, pl.LazyFrame | None, summary), pl.LazyFrame)
        with pytest.raises(CodecError, match="one column"):
            codec.load(path, pl.Series, summary)
        path.unlink()


def test_a_loaded_pandas_frame_may_be_changed_without_changing_what_is_stored(tmp_path: Path) -> None:
    codec, path = ArrowCodec(), tmp_path / "f.arrow"
    summary = codec.dump(pd.DataFrame({"a": np.arange(10.0)}), path)
    before = path.read_bytes()
    loaded = codec.load(path, None, summary)
    loaded.iloc[3, 0] = 99.0
    assert path.read_bytes() == before


def test_a_frame_of_python_objects_is_refused_with_the_column_named(tmp_path: Path) -> None:
    with pytest.raises(CodecError, match="'o'"):
        ArrowCodec().dump(pl.DataFrame({"o": pl.Series([object()], dtype=pl.Object)}), tmp_path / "f")
    with pytest.raises(CodecError, match="pandas"):
        ArrowCodec().dump(pd.DataFrame({"o": [object()]}), tmp_path / "f")
