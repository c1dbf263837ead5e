"""Schemas of Pandera and suites of Great Expectations, as their own libraries make them."""

from __future__ import annotations

import json
import math
import socket
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from trikk.core.errors import DefinitionError, MissingExtra
from trikk.quality import GateBlocked, expectations, not_null, pandera_schema, quality_gate

pytestmark = pytest.mark.filterwarnings("ignore::Warning")  # what those libraries warn of is theirs

ROWS = pl.DataFrame({"a": [1, 2, -3, None], "b": ["x", "y", "z", "q"], "c": [1, 1, 2, 3]})
SUITE: dict[str, Any] = {
    "name": "counts",
    "expectations": [
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "a"}},
        {
            "type": "expect_column_values_to_be_in_set",
            "kwargs": {"column": "b", "value_set": ["x", "y"]},
            "meta": {"severity": "info"},
        },
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "a", "min_value": 0},
            "severity": "warning",
        },
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "nope"}},
        {"type": "expect_no_such_thing", "kwargs": {}},
    ],
}


def checked(checks: Any, rows: Any = ROWS, **options: Any) -> dict[str, dict[str, Any]]:
    """All results by name."""
    try:
        result = quality_gate(rows, checks, **options)
    except GateBlocked as error:
        result = error.result
    json.dumps(result, allow_nan=False)
    return {check["name"]: check for check in result["checks"]}


@pytest.fixture
def pa() -> Any:
    return pytest.importorskip("pandera.polars")


def test_each_failed_part_of_a_pandera_schema_is_a_result(pa: Any) -> None:
    schema = pa.DataFrameSchema(
        {
            "a": pa.Column(pl.Int64, pa.Check.ge(0)),
            "b": pa.Column(pl.String, pa.Check.isin(["x", "y", "z", "q"])),
            "c": pa.Column(pl.String),
            "d": pa.Column(pl.Int64),
        },
        name="counts",
    )
    found = checked([not_null("b"), schema])
    assert {name: check["observed"] for name, check in found.items() if not check["passed"]} == {
        "counts: a not_nullable": "1 of 4 rows fail, 25.00 %",
        "counts: a greater_than_or_equal_to(0)": "1 of 4 rows fail, 25.00 %",
        "counts: c dtype('String')": "found Int64",
        "counts: column_in_dataframe": "no column d",
    }
    assert found["counts: a greater_than_or_equal_to(0)"]["sample"] == [{"a": -3, "b": "z", "c": 2}]


def test_a_pandera_model_checks_the_values_of_a_lazy_frame_too(pa: Any) -> None:
    class Counts(pa.DataFrameModel):  # type: ignore[misc]
        b: str = pa.Field(isin=["x", "y"])

        @pa.dataframe_check
        def broken(cls, _: Any) -> Any:  # noqa: N805 - pandera makes it a class method
            raise ValueError("boom")

    found = checked(Counts, ROWS.lazy())
    assert found["Counts: b isin(['x', 'y'])"]["failing"] == 2
    assert found["Counts: broken"]["ran"] is False
    assert "boom" in found["Counts: broken"]["observed"]


def test_a_pandera_schema_that_fits_is_one_result_and_its_severity_can_be_set(pa: Any) -> None:
    fits = pa.DataFrameSchema({"c": pa.Column(pl.Int64)})
    assert checked(pandera_schema(fits, name="c fits"))["c fits"]["observed"] == "4 rows fit"
    short = pa.DataFrameSchema({"c": pa.Column(pl.Int64, pa.Check.lt(0))})
    assert quality_gate(ROWS, pandera_schema(short, severity="warn"), sample=0)["verdict"] == "warned"


def test_a_pandera_schema_for_pandas_gets_a_pandas_frame() -> None:
    pa = pytest.importorskip("pandera.pandas")
    schema = pa.DataFrameSchema({"b": pa.Column(str, pa.Check.isin(["x", "y"]))}, name="counts")
    assert checked(schema)["counts: b isin(['x', 'y'])"]["sample"][0]["b"] == "z"


NAN, NULL, NONE = [1.0, math.nan], [1.0, None], []


@pytest.mark.parametrize(
    ("values", "nullable", "polars", "pandas"),
    [
        (NAN, False, False, False),
        (NAN, True, False, True),
        (NULL, False, False, False),
        (NULL, True, True, True),
        (NONE, False, True, True),
    ],
)
def test_what_pandera_says_of_missing_values_is_the_same_for_every_kind_of_frame(
    pa: Any, values: list[Any], nullable: bool, polars: bool, pandas: bool
) -> None:
    for_pandas = pytest.importorskip("pandera.pandas")
    rows = pl.DataFrame({"x": values}, schema={"x": pl.Float64})
    lists = {pa: polars, for_pandas: pandas}
    for library, wanted in lists.items():
        kind = pl.Float64 if library is pa else float
        checks = [library.Check.ge(0), library.Check.le(9)]
        schema = library.DataFrameSchema({"x": library.Column(kind, checks, nullable=nullable)}, name="s")
        for frame in (rows, rows.lazy(), rows.to_arrow()):
            assert all(check["passed"] for check in checked(schema, frame).values()) == wanted


def test_a_schema_for_pandas_sees_the_types_that_pandas_made() -> None:
    pa, pd = pytest.importorskip("pandera.pandas"), pytest.importorskip("pandas")
    schema = pa.DataFrameSchema({"c": pa.Column("category"), "n": pa.Column("Int8", nullable=True)}, name="s")
    frame = pd.DataFrame({"c": pd.Categorical(["a", "b"]), "n": pd.Series([1, None], dtype="Int8")})
    frame.index = [5, 9]
    assert checked(schema, frame)["s"]["passed"]
    short = pa.DataFrameSchema({"n": pa.Column("Int8", pa.Check.gt(1), nullable=True)}, name="s")
    assert checked(short, frame)["s: n greater_than(1)"]["sample"] == [{"n": 1, "c": "a"}]


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the current one and as home, and no network."""

    def refuse(*_: Any) -> Any:
        raise AssertionError("it tried to reach the network")

    pytest.importorskip("great_expectations")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return tmp_path


def test_each_expectation_of_a_suite_is_a_result_without_files_or_network(offline: Path) -> None:
    found = checked(SUITE)
    told = {name: (check["severity"], check["passed"], check["ran"]) for name, check in found.items()}
    assert told == {
        "expect_column_values_to_not_be_null(a)": ("block", False, True),
        "expect_column_values_to_be_in_set(b)": ("info", False, True),
        "expect_column_values_to_be_between(a)": ("warn", False, True),
        "expect_table_row_count_to_be_between": ("block", True, True),
        "expect_column_values_to_not_be_null(nope)": ("block", False, False),
        "expect_no_such_thing": ("block", False, False),
    }
    assert found["expect_column_values_to_be_in_set(b)"]["sample"][0] == {"b": "z", "a": -3, "c": 2}
    assert found["expect_column_values_to_be_in_set(b)"]["observed"] == "2 of 4 rows fail, 50.00 %"
    assert list(offline.iterdir()) == []


def test_a_suite_object_is_taken_as_it_is_and_one_severity_can_be_set_for_all(offline: Path) -> None:
    gx = pytest.importorskip("great_expectations")
    wanted = gx.expectations.ExpectColumnValuesToNotBeNull(column="a", mostly=0.7)
    suite = gx.ExpectationSuite(name="counts", expectations=[wanted])
    assert checked(suite)["expect_column_values_to_not_be_null(a)"]["passed"]
    assert {check["severity"] for check in checked(expectations(SUITE, severity="warn"), sample=0).values()} == {
        "warn"
    }
    assert checked({"name": "empty", "expectations": []})["empty"]["ran"] is False


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("values", "passing"),
    [
        (NAN, {"values_to_be_between", "mean_to_be_between", "sum_to_be_between"}),
        (NULL, {"values_to_be_between", "mean_to_be_between", "sum_to_be_between"}),
        (NONE, {"values_to_be_between", "values_to_not_be_null", "sum_to_be_between"}),
        ([None, None], {"values_to_be_between", "sum_to_be_between"}),
    ],
    ids=["nan", "null", "no rows", "all null"],
)
def test_what_great_expectations_says_of_missing_values(values: list[Any], passing: set[str]) -> None:
    kinds = ("values_to_be_between", "values_to_not_be_null", "mean_to_be_between", "sum_to_be_between")
    limits = {"min_value": 0}
    suite = {
        "expectations": [
            {"type": f"expect_column_{kind}", "kwargs": {"column": "x", **({} if "null" in kind else limits)}}
            for kind in kinds
        ]
    }
    rows = pl.DataFrame({"x": values}, schema={"x": pl.Float64})
    for frame in (rows, rows.lazy(), rows.to_arrow(), rows.to_pandas()):
        found = checked(suite, frame)
        assert {name[14:-3] for name, check in found.items() if check["passed"]} == passing


@pytest.mark.parametrize("library", ["pandera", "great_expectations"])
def test_a_missing_library_is_named(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    schema = pytest.importorskip("pandera.polars").DataFrameSchema({}) if library == "pandera" else SUITE
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra) as caught:
        quality_gate(ROWS, schema)
    assert library.replace("_", "-") in str(caught.value.next)


def test_a_dict_that_is_no_suite_is_refused() -> None:
    with pytest.raises(DefinitionError):
        quality_gate(ROWS, {"name": "counts"})
