"""The same rows get the same verdict from every check, in any kind of frame; and null has one rule."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trikk import Pipeline, Table, pipeline, quality_gate, step
from trikk.core.errors import UsageError
from trikk.quality import (
    Check,
    GateBlocked,
    between,
    fresh,
    has_columns,
    holds,
    like,
    matches,
    not_null,
    one_of,
    refers_to,
    row_count,
    unique,
)
from trikk.testing import run_inline

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")

NOW = datetime(2024, 5, 2, 12)  # noqa: DTZ001
KNOWN = pl.DataFrame({"x": [0.0, 1.0, 2.5], "k": [1, 2, 3], "t": ["a", "b", "ab"]})
CHECKS: list[Check] = [
    has_columns(["x", "k", "t", "at"], only=True),
    has_columns({"x": pl.Float64, "t": pl.String, "at": pl.Datetime}),
    not_null("x"),
    not_null("x", "k", "t", "at", allow=0.3),
    unique("k"),
    unique("x", "t"),
    between("x", 0, 2),
    between("x", low=-1, allow=0.5),
    between("at", date(2024, 5, 1)),
    one_of("t", ["a", "ab"]),
    one_of("x", [0, 1, 2.5]),
    matches("t", "a?b?"),
    row_count(2, 5),
    fresh("at", "36h", now=NOW),
    refers_to("t", KNOWN),
    refers_to(["k", "t"], KNOWN),
    like("x", KNOWN),
    like("t", KNOWN, 1.0),
    holds(pl.col("x") <= 1),
    holds("x >= 0 or t = 'a'"),
    holds(pl.col("x").mean() < 2),
    holds(pl.col("x").max() > 0),
    holds(lambda rows: rows.filter(pl.col("x").is_null())),
]
FLOATS = st.none() | st.sampled_from([0.0, 1.0, 2.5, -1.0, math.nan])
ROW = st.tuples(
    FLOATS,
    st.none() | st.integers(0, 3),
    st.none() | st.sampled_from(["", "a", "b", "ab"]),
    st.none() | st.sampled_from([NOW, NOW - timedelta(days=1), NOW - timedelta(days=9)]),
)
SCHEMA = {"x": pl.Float64, "k": pl.Int64, "t": pl.String, "at": pl.Datetime("us")}
OBJECTS = {"k": "Int64", "t": object, "at": "datetime64[us]"}


def numpy_frame(rows: pl.DataFrame) -> Any:
    return pd.DataFrame({n: pd.Series(rows[n].to_list(), dtype=OBJECTS.get(n, "float64")) for n in rows.columns})


def nullable_frame(rows: pl.DataFrame) -> Any:
    types = {"x": "Float64", "k": "Int64", "t": "string", "at": "datetime64[us]"}
    return pd.DataFrame({n: pd.Series(rows[n].to_list(), dtype=types[n]) for n in rows.columns})


def arrow_typed_frame(rows: pl.DataFrame) -> Any:
    return rows.to_arrow().to_pandas(types_mapper=pd.ArrowDtype)


def verdicts(rows: Any, **options: Any) -> list[tuple[str, bool, bool, str]]:
    """Name, whether it passed and ran, and what was observed, of every check."""
    try:
        result = quality_gate(rows, CHECKS, sample=0, **options)
    except GateBlocked as error:
        result = error.result
    return [(c["name"], c["passed"], c["ran"], c["observed"]) for c in result["checks"]]


@settings(max_examples=20)
@given(st.lists(ROW, max_size=12), st.booleans())
def test_every_check_gives_one_verdict_on_the_same_rows_of_any_kind(rows: list[Any], allow_empty: bool) -> None:
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    options: dict[str, Any] = {"allow_empty": allow_empty}
    wanted = verdicts(frame, **options)
    assert all(ran for _, _, ran, _ in wanted) or not frame["x"].count() or not frame["t"].count()
    kinds: list[Callable[[pl.DataFrame], Any]] = [
        pl.DataFrame.lazy,
        pl.DataFrame.to_arrow,
        lambda f: f.to_arrow().combine_chunks().to_batches()[0] if f.height else f,
        lambda f: [f.head(1), f.tail(max(f.height - 1, 0))],
        arrow_typed_frame,
    ]
    for kind in kinds:
        assert verdicts(kind(frame), **options) == wanted
    without_null = frame.with_columns(pl.col("x").fill_null(math.nan))  # numpy's floats have none
    assert verdicts(numpy_frame(without_null), **options) == verdicts(without_null, **options)
    without_nan = frame.with_columns(pl.col("x").fill_nan(None))  # pandas' own Float64 has none
    assert verdicts(nullable_frame(without_nan), **options) == verdicts(without_nan, **options)


@pytest.mark.parametrize("check", [between("x", 0, 9), not_null("x"), one_of("x", [1.0])], ids=lambda c: c.kind)
def test_a_nan_fails_in_every_kind_of_frame(check: Check) -> None:
    rows = pl.DataFrame({"x": [1.0, math.nan]})
    for frame in (
        rows,
        rows.lazy(),
        rows.to_arrow(),
        pd.DataFrame({"x": [1.0, math.nan]}),
        pd.DataFrame({"x": pd.arrays.SparseArray([1.0, math.nan])}),
        arrow_typed_frame(rows),
    ):
        with pytest.raises(GateBlocked) as caught:
            quality_gate(frame, check)
        assert caught.value.result["checks"][0]["failing"] == 1


@step
def as_pandas() -> pd.DataFrame:
    return pd.DataFrame({"x": [1.0, math.nan], "t": pd.Series(["a", None])})


@step
def pair() -> tuple[pd.DataFrame, int]:
    return pd.DataFrame({"x": [1.0, math.nan], "t": pd.Series(["a", None])}), 3


@step
def several(n: int) -> pd.DataFrame:
    return pd.DataFrame({"x": [1.0, math.nan]}).tail(n)


@step
def parts_by_name() -> dict[str, Any]:
    return {"rows": pd.DataFrame({"x": [1.0, math.nan]}), "n": 3}


def inside() -> None:
    quality_gate(parts_by_name()["rows"], between("x", 0, 9))


def outputs() -> None:
    quality_gate(as_pandas(), between("x", 0, 9))


def parts() -> None:
    rows, _ = pair()
    quality_gate(rows, between("x", 0, 9))


def mapped() -> None:
    quality_gate(several.map([1, 2]), between("x", 0, 9))


@pytest.mark.parametrize("body", [outputs, parts, mapped, inside])
def test_a_nan_of_a_pandas_frame_fails_in_a_run_as_well(body: Callable[[], None]) -> None:
    made: Pipeline = pipeline(body)
    done = run_inline(made)
    assert done.state == "failed"
    assert done.error is not None
    assert "between(x)" in done.error


NO_MEAN = holds(pl.col("x").mean() > 0)
NO_ITEM = holds(pl.col("x").item() > 0)
OF_NOTHING = [NO_MEAN, holds("max(x) > 0"), holds(pl.all().first() > 0), holds(pl.lit(None, dtype=pl.Boolean))]
OF_ROWS = [
    holds(pl.col("x") > 0),
    holds("x > 0"),
    holds(pl.col("x") > pl.col("x").mean()),
    holds(pl.col("x").mean().over("x") > 1),
]


def nothing(rows: int) -> pl.DataFrame:
    return pl.DataFrame({"x": [None] * rows}, schema={"x": pl.Float64})


@pytest.mark.parametrize("kind", [pl.DataFrame.lazy, pl.DataFrame.to_arrow, arrow_typed_frame, nullable_frame])
@pytest.mark.parametrize("check", OF_NOTHING, ids=lambda check: check.name)
def test_an_aggregate_that_is_null_blocks_any_number_of_rows(
    kind: Callable[[pl.DataFrame], Any], check: Check
) -> None:
    for rows in (1, 2, 5):
        with pytest.raises(GateBlocked, match="null, neither true nor false") as caught:
            quality_gate(kind(nothing(rows)), check, allow_empty=True, quarantine=Table("rejected"))
        assert caught.value.result["checks"][0]["failing"] is None
    with pytest.raises(GateBlocked, match="no rows"):
        quality_gate(kind(nothing(0)), check)
    assert quality_gate(kind(nothing(0)), check, allow_empty=True)["passed"]


@pytest.mark.parametrize("check", OF_ROWS, ids=lambda check: check.name)
def test_a_null_of_a_row_passes_any_number_of_rows(check: Check) -> None:
    for rows in (1, 2, 5):
        assert quality_gate(nothing(rows), check)["checks"][0]["failing"] == 0


def test_what_is_said_of_one_row_is_of_the_frame_if_it_would_be_of_two() -> None:
    one = pl.DataFrame({"x": [1.0]})
    for check, failing in ((holds(pl.col("x") > 1), 1), (holds(pl.col("x").max() > 1), None), (NO_ITEM, None)):
        with pytest.raises(GateBlocked) as caught:
            quality_gate(one.with_columns(x=pl.col("x") - 1), check)
        assert caught.value.result["checks"][0]["failing"] == failing
    with pytest.raises(GateBlocked, match="holds"):  # an aggregate sets no row aside
        quality_gate(one, holds(pl.col("x").max() > 1), quarantine=Table("rejected"), allow_empty=True)


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_an_aggregate_that_is_false_blocks_any_number_of_rows(rows: int) -> None:
    frame = pl.DataFrame({"x": [1.0] * rows}, schema={"x": pl.Float64})
    with pytest.raises(GateBlocked):
        quality_gate(frame, holds(pl.col("x").sum() > 100), allow_empty=True)


def test_a_column_without_values_fits_every_type() -> None:
    rows = pl.DataFrame({"n": [None, None]})
    for check in (
        matches("n", "a"),
        between("n", 0, 1),
        one_of("n", ["a"]),
        refers_to("n", pl.DataFrame({"n": ["a"]})),
        has_columns({"n": pl.String}),
    ):
        assert quality_gate(rows, check)["passed"], check.name
    for column in (pd.Series([None, None], dtype=object), pd.Series([math.nan, math.nan], dtype=object)):
        assert quality_gate(pd.DataFrame({"n": column}), matches("n", "a"))["passed"]
    with pytest.raises(GateBlocked, match="no time up to"):
        quality_gate(rows, fresh("n", "1d"))


def test_a_pandas_frame_that_is_no_table_is_refused_by_column() -> None:
    for frame, words in (
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns are called 'a'"),
        (pd.DataFrame({"m": [1, "a"]}), "column 'm'"),
    ):
        with pytest.raises(UsageError, match=words):
            quality_gate(frame, not_null("a"))
