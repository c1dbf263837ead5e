"""What the one pass over the rows counts, against the same counted by hand in Python."""

from __future__ import annotations

import math
import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.quality import (
    GateBlocked,
    between,
    fresh,
    holds,
    matches,
    not_null,
    one_of,
    quality_gate,
    refers_to,
    row_count,
    unique,
)

FLOATS = st.none() | st.sampled_from([0.0, -1.0, 1.0, 2.5, math.nan, math.inf, -math.inf])
WHOLE = st.none() | st.integers(-3, 3)
TEXTS = st.none() | st.sampled_from(["", "a", "b", "ab", "a\n", "A"])
ROWS = st.lists(st.tuples(FLOATS, WHOLE, TEXTS), min_size=1, max_size=30)


def frame_of(rows: list[tuple[Any, Any, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"x": pl.Float64, "k": pl.Int64, "t": pl.String}, orient="row")


def failing(frame: pl.DataFrame | pl.LazyFrame, check: Any) -> int:
    """How many rows fail; the verdict must follow from it."""
    try:
        found = quality_gate(frame, [check], allow_empty=True)["checks"][0]
        assert found["passed"]
    except GateBlocked as error:
        found = error.result["checks"][0]
        assert not found["passed"]
    assert found["ran"], found
    assert (found["failing"] == 0) == found["passed"]
    assert found["share"] == found["failing"] / frame.lazy().collect().height
    count: int = found["failing"]
    return count


@given(ROWS)
def test_missing_values_are_counted_row_by_row_and_a_nan_is_missing(rows: list[Any]) -> None:
    by_hand = sum(x is None or math.isnan(x) or k is None for x, k, _ in rows)
    assert failing(frame_of(rows), not_null("x", "k")) == by_hand


@given(ROWS, st.sampled_from([(None, 1.0), (-1.0, None), (-1, 1), (0.0, 0.0)]))
def test_a_range_includes_its_ends_leaves_nulls_out_and_fails_nan(
    rows: list[Any], limits: tuple[Any, Any]
) -> None:
    low, high = (-math.inf if limits[0] is None else limits[0]), (math.inf if limits[1] is None else limits[1])
    by_hand = sum(x is not None and not low <= x <= high for x, _, _ in rows)
    assert failing(frame_of(rows), between("x", *limits)) == by_hand


@given(ROWS)
def test_repeats_beyond_the_first_are_counted_in_one_column(rows: list[Any]) -> None:
    counted = Counter(k for _, k, _ in rows if k is not None)
    assert failing(frame_of(rows), unique("k")) == sum(n - 1 for n in counted.values())


@given(ROWS)
def test_repeats_are_counted_over_several_columns_where_none_is_null(rows: list[Any]) -> None:
    counted = Counter((k, t) for _, k, t in rows if k is not None and t is not None)
    assert failing(frame_of(rows), unique("k", "t")) == sum(n - 1 for n in counted.values())


@given(ROWS, st.lists(st.sampled_from(["", "a", "b", "q"]), min_size=1))
def test_a_set_leaves_nulls_out(rows: list[Any], members: list[str]) -> None:
    assert failing(frame_of(rows), one_of("t", members)) == sum(
        t is not None and t not in members for *_, t in rows
    )


@given(ROWS, st.sampled_from(["a", "a|b", "a*b?", "(?i)a", "."]))
def test_a_pattern_has_to_match_the_whole_text(rows: list[Any], pattern: str) -> None:
    by_hand = sum(t is not None and re.fullmatch(pattern, t) is None for *_, t in rows)
    assert failing(frame_of(rows), matches("t", pattern)) == by_hand


@given(ROWS, st.lists(st.tuples(WHOLE, TEXTS)))
def test_references_are_looked_up_by_one_column_or_several(rows: list[Any], known: list[Any]) -> None:
    there = pl.DataFrame(known, schema={"id": pl.Int32, "name": pl.String}, orient="row")
    alone, pairs = {k for k, _ in known}, set(known)
    by_hand = sum(k is not None and k not in alone for _, k, _ in rows)
    assert failing(frame_of(rows), refers_to("k", there, "id")) == by_hand
    by_hand = sum(None not in (k, t) and (k, t) not in pairs for _, k, t in rows)
    assert failing(frame_of(rows), refers_to(["k", "t"], there.lazy(), ["id", "name"])) == by_hand


@given(ROWS)
def test_an_expression_and_its_sql_count_the_same(rows: list[Any]) -> None:
    by_hand = sum(k is not None and not k >= 0 for _, k, _ in rows)
    for stated in (pl.col("k") >= 0, "k >= 0", lambda lazy: lazy.filter(pl.col("k") < 0)):
        assert failing(frame_of(rows), holds(stated)) == by_hand


@given(ROWS, st.integers(0, 40), st.integers(0, 40))
def test_the_number_of_rows_is_judged_by_its_limits(rows: list[Any], one: int, other: int) -> None:
    low, high = sorted((one, other))
    found = quality_gate(frame_of(rows), [row_count(low, high, severity="info")])
    assert found["rows"] == len(rows)
    assert found["checks"][0]["passed"] == (low <= len(rows) <= high)


@given(ROWS, st.floats(0, 0.99))
def test_a_share_of_the_rows_may_fail(rows: list[Any], allow: float) -> None:
    found = quality_gate(frame_of(rows), [not_null("k", allow=allow, severity="warn")])["checks"][0]
    assert found["passed"] == (sum(k is None for _, k, _ in rows) <= allow * len(rows))


def test_rows_are_counted_the_same_lazily_in_parts_and_in_other_libraries(tmp_path: Any) -> None:
    frame = frame_of([(1.0, 1, "a"), (None, 1, "b"), (3.0, None, "c"), (4.0, 3, None)])
    frame.write_parquet(tmp_path / "rows.parquet")
    forms = [
        pl.scan_parquet(tmp_path / "rows.parquet"),
        [frame.head(1), frame.tail(3).lazy()],
        frame.to_pandas(),
        frame.to_arrow(),
    ]
    checks = [not_null("x", severity="info"), unique("k", severity="info")]
    wanted = [c["failing"] for c in quality_gate(frame, checks)["checks"]]
    assert wanted == [1, 1]
    for form in forms:
        assert [c["failing"] for c in quality_gate(form, checks)["checks"]] == wanted


NOW = datetime(2024, 3, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("times", "dtype", "passed"),
    [
        ([NOW - timedelta(hours=2), NOW - timedelta(days=9)], pl.Datetime("us", "UTC"), True),
        ([NOW - timedelta(hours=2, seconds=1)], pl.Datetime("us", "UTC"), False),
        ([NOW.replace(tzinfo=None) - timedelta(hours=1)], pl.Datetime("ms"), True),
        ([NOW.replace(tzinfo=None) - timedelta(hours=3), None], pl.Datetime("ns"), False),
        ([NOW + timedelta(hours=1)], pl.Datetime("us", "UTC"), False),
        ([NOW + timedelta(hours=1), NOW - timedelta(hours=1)], pl.Datetime("us", "Asia/Tokyo"), True),
        ([date(2024, 3, 10)], pl.Date, False),
        ([None], pl.Datetime("us"), False),
    ],
)
def test_freshness_counts_from_the_newest_time_that_is_not_in_the_future(
    times: list[Any], dtype: Any, passed: bool
) -> None:
    rows = pl.DataFrame({"at": pl.Series(times).cast(dtype)})
    found = quality_gate(rows, [fresh("at", "2h", now=NOW, severity="info")])["checks"][0]
    assert found["ran"], found
    assert found["passed"] == passed, found


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Oslo"])
@pytest.mark.parametrize("limit", [datetime(2024, 3, 10), datetime(2024, 3, 10, tzinfo=UTC), date(2024, 3, 10)])  # noqa: DTZ001
def test_times_with_and_without_a_zone_are_compared_in_utc(zone: str | None, limit: Any) -> None:
    times = pl.Series([datetime(2024, 3, 9, 23, 59), datetime(2024, 3, 10)])  # noqa: DTZ001
    rows = pl.DataFrame({"at": times.dt.replace_time_zone("UTC").dt.convert_time_zone(zone) if zone else times})
    assert failing(rows, between("at", limit)) == 1
    assert failing(rows, one_of("at", [limit])) == 1


def test_categories_are_checked_as_texts() -> None:
    for dtype in (pl.Categorical, pl.Enum(["a", "b"])):
        rows = pl.DataFrame({"t": pl.Series(["a", "b", None]).cast(dtype)})
        assert failing(rows, one_of("t", ["a", "z"])) == 1
        assert failing(rows, matches("t", "a")) == 1
        assert failing(rows, refers_to("t", pl.DataFrame({"t": ["a"]}))) == 1


@pytest.mark.parametrize(
    ("column", "members", "count"),
    [
        (pl.Series([1.0, 2.5, None]), [1, 2], 1),
        (pl.Series([1, 2, None]), [1.0, 2.5], 1),
        (pl.Series([0.1, 0.2], dtype=pl.Float32), [0.1, 3], 1),
        (pl.Series([1, 255], dtype=pl.UInt8), [1, 300, -1], 1),
        (pl.Series([True, False]), [True], 1),
        (pl.Series([date(2024, 1, 1), None]), [date(2024, 1, 2)], 1),
    ],
)
def test_members_of_a_set_are_compared_by_value_not_by_type(
    column: pl.Series, members: list[Any], count: int
) -> None:
    assert failing(column.to_frame("v"), one_of("v", members)) == count


@pytest.mark.parametrize(
    ("column", "reference", "count"),
    [
        (pl.Series([1.0, 2.0, None]), pl.Series([1, 3]), 1),
        (pl.Series([1, 2, None]), pl.Series([1.0, 2.5, math.nan, 1e30]), 1),
        (pl.Series([1, 2], dtype=pl.Int8), pl.Series([1, 1000]), 1),
        (pl.Series([datetime(2024, 1, 1)]), pl.Series([datetime(2024, 1, 1)]).dt.cast_time_unit("ms"), 0),  # noqa: DTZ001
    ],
)
def test_keys_are_looked_up_by_value_not_by_type(column: pl.Series, reference: pl.Series, count: int) -> None:
    assert failing(column.to_frame("v"), refers_to("v", reference.to_frame("v"))) == count


def test_columns_may_be_called_as_what_is_counted() -> None:
    rows = pl.DataFrame({"failing": [1, None, 3], "len": [None, 2, 3], "values": [1, 1, 1], "times": [1, 1, 1]})
    assert failing(rows, not_null("failing", "len")) == 2
    assert failing(rows, unique("values", "times")) == 2
