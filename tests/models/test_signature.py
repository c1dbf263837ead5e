from __future__ import annotations

import datetime as dt
import math
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trikk.core.errors import SignatureError, StorageError
from trikk.models.signature import Field, Signature

MOMENT = dt.datetime(2020, 3, 3, tzinfo=dt.UTC)
ROWS = pl.DataFrame(
    {"people": [1, 2], "share": [0.5, 1.0], "line": ["a", "b"], "open": [True, False], "at": [MOMENT, MOMENT]}
)
SIGNATURE = Signature.infer(ROWS, [1.0, 2.0])


def one(dtype: str, *, nullable: bool = False) -> Signature:
    return Signature((Field("x", dtype, nullable),), Field("value", "Float64"))


def test_a_signature_holds_names_types_and_order_and_travels_as_json() -> None:
    assert SIGNATURE.names == ["people", "share", "line", "open", "at"]
    assert [f.dtype for f in SIGNATURE.inputs[:4]] == ["Int64", "Float64", "String", "Boolean"]
    assert SIGNATURE.schema() == dict(ROWS.schema)
    assert Signature.read(SIGNATURE.to_json()) == SIGNATURE
    with pytest.raises(StorageError):
        Signature.read({"inputs": 1})


def test_rows_come_out_in_order_and_without_other_columns() -> None:
    shuffled = ROWS.select("at", "open", pl.lit(1).alias("other"), "line", "share", "people")
    assert SIGNATURE.check(shuffled).equals(ROWS)


def test_a_missing_input_is_named() -> None:
    with pytest.raises(SignatureError) as caught:
        SIGNATURE.check(ROWS.drop("share"))
    assert caught.value.field == "share"
    assert "Float64" in caught.value.what


@pytest.mark.parametrize(
    ("dtype", "given_", "expected"),
    [
        ("Float64", [1, 2], [1.0, 2.0]),
        ("Int64", [1.0, 2.0], [1, 2]),
        ("Int8", [1, 127], [1, 127]),
        ("Float64", pl.Series([1.5], dtype=pl.Float32), [1.5]),
        ("Float32", [0.5, math.inf], [0.5, math.inf]),
        ("Categorical", ["a", "b"], ["a", "b"]),
        ("Float64", pl.Series([1], dtype=pl.Decimal(9, 2)), [1.0]),
        ("Datetime(time_unit='ms', time_zone='UTC')", [MOMENT], [MOMENT]),
    ],
)
def test_what_loses_nothing_is_converted(dtype: str, given_: Any, expected: list[Any]) -> None:
    assert one(dtype).check(pl.DataFrame({"x": given_}))["x"].to_list() == expected


@pytest.mark.parametrize(
    ("dtype", "given_"),
    [
        ("Float64", ["3"]),
        ("Int64", [1.5]),
        ("Int8", [300]),
        ("UInt8", [-1]),
        ("Float64", [2**53 + 1]),
        ("Float32", [1e300]),
        ("Int64", [math.inf]),
        ("Boolean", [1]),
        ("Float64", [True]),
        ("String", [1]),
        ("Float64", [[1.0]]),
        ("Datetime(time_unit='us', time_zone=None)", [MOMENT]),
        ("Date", [MOMENT]),
    ],
)
def test_what_would_lose_something_is_refused_by_name(dtype: str, given_: list[Any]) -> None:
    with pytest.raises(SignatureError) as caught:
        one(dtype).check(pl.DataFrame({"x": given_}, strict=False))
    assert caught.value.field == "x"
    assert dtype in caught.value.what
    assert caught.value.next


@pytest.mark.parametrize("values", [[1.0, None], [1.0, math.nan]])
def test_empty_values_pass_only_where_the_model_was_fitted_with_some(values: list[float | None]) -> None:
    rows = pl.DataFrame({"x": values})
    with pytest.raises(SignatureError, match="row 1"):
        one("Float64").check(rows)
    assert Signature.infer(rows, [1.0]).inputs[0].nullable
    assert one("Float64", nullable=True).check(rows)["x"].len() == 2
    assert one("Int64", nullable=True).check(pl.DataFrame({"x": [None, None]}))["x"].null_count() == 2


def test_a_type_that_no_signature_can_hold_is_refused_when_it_is_inferred() -> None:
    with pytest.raises(SignatureError, match="'x' is of type List"):
        Signature.infer(pl.DataFrame({"x": [[1]]}), [1.0])
    with pytest.raises(SignatureError, match="'y' is not an input"):
        Signature.infer(ROWS, [1.0], nullable=["y"])


@settings(deadline=None)
@given(
    st.lists(st.integers(-(2**63), 2**63 - 1) | st.none(), min_size=1),
    st.sampled_from(["Int8", "UInt32", "Int64", "UInt64", "Float32", "Float64"]),
)
def test_a_conversion_gives_equal_numbers_or_is_refused(values: list[int | None], dtype: str) -> None:
    rows = pl.DataFrame({"x": pl.Series(values, dtype=pl.Int64)})
    try:
        found = one(dtype, nullable=True).check(rows)["x"].to_list()
    except SignatureError:
        return
    assert all((a is None and b is None) or a == b for a, b in zip(found, values, strict=True))
