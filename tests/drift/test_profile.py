from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.drift.samples import NUMBERS, numbers, texts

from trikk.core.errors import StorageError, UnknownName
from trikk.drift import Profile, compare, profile
from trikk.drift.measures.category_summary import Categories

LIST = st.lists(st.one_of(st.none(), st.floats(), st.integers(-3, 3).map(float)), max_size=80)
WORDS = st.lists(st.one_of(st.none(), st.integers(0, 300).map(str)), max_size=150)


def frame(values: list[float | None], words: list[str | None]) -> pl.DataFrame:
    size = min(len(values), len(words))
    return pl.DataFrame({"x": values[:size], "word": words[:size]}, schema={"x": pl.Float64, "word": pl.String})


def counted(found: Profile) -> list[object]:
    """What must be the same whatever the order of merging."""
    x, word = found.columns["x"], found.columns["word"]
    numbers_ = x.summary
    return [found.rows, x.nulls, x.nans, x.infinite, numbers_.zeros, numbers_.values, numbers_.digest.low, word]


@settings(max_examples=40)
@given(parts=st.lists(st.tuples(LIST, WORDS), min_size=3, max_size=3))
def test_merging_is_associative_and_commutative(parts: list[tuple[list[float | None], list[str | None]]]) -> None:
    a, b, c = (profile(frame(*part)) for part in parts)
    together = profile(pl.concat([frame(*part) for part in parts]))
    for found in (a.merge(b).merge(c), a.merge(b.merge(c)), c.merge(a, b)):
        assert counted(found) == counted(together)
        here, there = found.columns["x"].summary, together.columns["x"].summary
        scale = max(abs(there.digest.low), abs(there.digest.high))
        if there.count and scale < 1e150:
            assert here.mean == pytest.approx(there.mean, rel=1e-6, abs=1e-7 * scale)
            assert here.deviation == pytest.approx(there.deviation, rel=1e-6, abs=1e-7 * scale)
        assert Profile.read(json.loads(found.dumps())).dumps() == found.dumps()


def test_a_column_takes_less_than_ten_kilobytes() -> None:
    size = 50_000
    columns: dict[str, object] = {shape: numbers(shape, size, 1) for shape in NUMBERS}
    columns["heavy values"] = list(numbers("normal", 150, 2)) * 200 + list(numbers("lognormal", 20_000, 3))
    columns["all exponents"] = [2.0 ** (i % 2000 - 1000) * (-1) ** i for i in range(size)]
    columns["long texts"] = [f"{'ø' * 500}{i % 90}" for i in range(size)]
    columns["identifier"] = [str(i) for i in range(size)]
    first = profile(pl.DataFrame(columns))
    found = first.merge(*(profile(pl.DataFrame(columns).sample(500 + 400 * i, seed=i)) for i in range(10)))
    for name in columns:
        for one in (first, found):
            alone = Profile(one.rows, {name: one.columns[name]})
            assert len(alone.dumps().encode()) < 10_000, name


def test_a_lazy_frame_is_summed_up_in_batches(tmp_path: Path) -> None:
    rows = pl.DataFrame({"x": numbers("normal", 700_000, 1), "c": texts(5, 700_000, 2)})
    rows.write_parquet(tmp_path / "rows.parquet", row_group_size=50_000)
    found = profile(pl.scan_parquet(tmp_path / "rows.parquet"))
    whole = profile(rows)
    assert found == profile(pl.scan_parquet(tmp_path / "rows.parquet"))
    assert found.rows == 700_000
    assert found.columns["c"] == whole.columns["c"]
    report = compare(found, whole)
    assert [column.verdict for column in report.columns] == ["no drift", "no drift"]
    assert report["x"].effect == pytest.approx(0, abs=0.002)


def test_only_the_columns_that_are_asked_for_are_summed_up() -> None:
    rows = pl.DataFrame({"a": [1], "b": ["x"]})
    assert [*profile(rows, ["b"]).columns] == ["b"]
    with pytest.raises(UnknownName):
        profile(rows.lazy(), ["c"])


def test_every_type_has_a_profile_that_comes_back_from_json() -> None:
    rows = pl.DataFrame(
        {
            "int": pl.Series([1, 2, None], dtype=pl.Int64),
            "huge": pl.Series([2**126, -1, 0], dtype=pl.Int128),
            "unsigned": pl.Series([2**64 - 1, 0, 0], dtype=pl.UInt64),
            "float": [float("nan"), float("inf"), -0.0],
            "single": pl.Series([0.1, None, float("-inf")], dtype=pl.Float32),
            "decimal": [Decimal("1.50"), Decimal(-2), None],
            "flag": [True, None, False],
            "text": ["", "a\n\ud7ff", None],
            "bytes": [b"\xff", b"", None],
            "kind": pl.Series(["a", "b", "a"], dtype=pl.Categorical),
            "enum": pl.Series(["a", "b", "a"], dtype=pl.Enum(["a", "b"])),
            "day": [date(2020, 3, 26), None, date(1, 1, 1)],
            "moment": pl.Series([0, None, 2**60], dtype=pl.Datetime("us")),
            "zoned": pl.Series(
                [datetime(2020, 3, 26, tzinfo=UTC)] * 3, dtype=pl.Datetime("ns", "Pacific/Auckland")
            ),
            "clock": [time(1), time(23, 59, 59, 999_999), None],
            "span": [timedelta(days=-1), timedelta(microseconds=1), None],
            "nothing": [None, None, None],
            "list": [[1], [], None],
            "struct": [{"a": 1}, {"a": None}, None],
            "object": pl.Series([object(), object(), None], dtype=pl.Object),
        }
    )
    found = profile(rows)
    assert Profile.read(json.loads(found.dumps())) == found
    assert found.columns["float"].nans == 1
    assert found.columns["float"].infinite == 1
    assert found.columns["float"].summary.zeros == 1
    assert found.columns["day"].summary.digest.high == 1_585_180_800.0
    assert profile(rows.clear()).merge(found).columns["int"] == found.columns["int"]


def test_types_that_have_nothing_in_common_merge_into_what_is_not_comparable() -> None:
    number, text = (profile(pl.DataFrame({"a": [value] * 200})) for value in (1, "1"))
    merged = number.merge(text, number)
    assert merged.rows == 600
    assert merged.columns["a"].dtype == "Int64 | String"
    assert compare(number, merged)["a"].verdict == "not comparable"


def test_many_categories_are_estimated_in_number() -> None:
    found = Categories.of(pl.Series([str(i % 5000) for i in range(20_000)]))
    assert found.distinct == pytest.approx(5000, rel=0.25)
    assert Categories.of(pl.Series(["a", "b", "a"])).distinct == 2


@pytest.mark.parametrize(
    "data", [{}, {"version": 1, "rows": 1, "columns": {"a": {"kind": "soup"}}}, {"version": 9}]
)
def test_what_is_no_profile_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(StorageError):
        Profile.read(data)


def test_numbers_that_are_too_large_to_add_up_have_a_profile_all_the_same() -> None:
    huge = [-1.7e308] * 300 + [1.7e308] * 300  # partial sums are infinite on both sides
    found = profile(pl.DataFrame({"x": huge}))
    assert Profile.read(json.loads(found.dumps())).dumps() == found.dumps()
    assert found.columns["x"].summary.digest.high == 1.7e308
