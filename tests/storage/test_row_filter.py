"""Rows by a condition that a person wrote."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from trikk.core.errors import ParameterError
from trikk.storage.tables.row_filter import Comparison, Condition, equals, rows_that, rows_where, some_rows

ROWS = pl.DataFrame(
    {
        "sensor": ["north", "it's", None],
        "slot": [datetime(2020, 3, 26, hour) for hour in (1, 2, 3)],  # noqa: DTZ001 - a column without a zone
        "zoned": [datetime(2020, 3, 26, hour, tzinfo=UTC) for hour in (1, 2, 3)],
        "day": [date(2020, 3, day) for day in (26, 27, 28)],
        "count": [1, None, 3],
        "select": [True, False, None],
        'volume "flow"': [1.5, 2.5, None],
    }
)


@pytest.mark.parametrize(
    ("condition", "places"),
    [
        ("sensor = 'north'", [0]),
        ("slot >= '2020-03-26 02:00'", [1, 2]),
        ("zoned > '2020-03-26 02:00:00'", [2]),
        ("day between '2020-03-26' and '2020-03-27'", [0, 1]),
        ("count is null or sensor is null", [1, 2]),
        ("count > 100", []),
    ],
)
def test_rows_are_those_for_which_the_condition_holds_in_their_order(condition: str, places: list[int]) -> None:
    assert rows_where(ROWS.lazy(), condition).collect().equals(ROWS[places])


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("name", ROWS.columns)
def test_a_value_of_any_column_can_be_asked_for(name: str, place: int) -> None:
    value: Any = ROWS[name][place]
    same = [i for i, other in enumerate(ROWS[name]) if other == value]
    assert rows_where(ROWS.lazy(), equals({name: value})).collect().equals(ROWS[same])


@pytest.mark.parametrize(
    "condition",
    [
        "",
        "slut = 1",
        "count",
        "select 1",
        "1=1) union select * from (self where 1=1",
        "count > 1; select * from self",
        "slot > 'soon'",
    ],
)
def test_what_is_no_condition_is_refused_with_the_columns(condition: str) -> None:
    with pytest.raises(ParameterError) as refused:
        rows_where(ROWS.lazy(), condition)
    assert "there are: sensor, slot" in str(refused.value.next)


def test_a_text_beside_a_number_is_refused_before_the_tables_files_are_read(tmp_path: Path) -> None:
    ROWS.select("count").write_parquet(tmp_path / "rows.parquet")
    with pytest.raises(ParameterError, match="cannot compare string with numeric"):
        rows_where(pl.scan_parquet(tmp_path / "rows.parquet"), "count = 'x'")


@pytest.mark.parametrize(
    ("column", "comparison", "value", "places"),
    [
        ("sensor", "=", "north", [0]),
        ("sensor", "contains", "'s", [1]),
        ("sensor", "=", "exists (select 1 from read_csv('/etc/passwd'))", []),
        ("sensor", "!=", None, [0, 1]),
        ("slot", ">=", "2020-03-26T02:00", [1, 2]),
        ("slot", "<", "2020-03-26T04:00+02:00", [0]),
        ("zoned", ">", "2020-03-26T02:00:00", [2]),
        ("zoned", "<=", "2020-03-26T04:00+02:00", [0, 1]),
        ("day", "<", "2020-03-27", [0]),
        ("count", "=", None, [1]),
        ("count", ">", "1.5", [2]),
        ("select", "=", "false", [1]),
        ('volume "flow"', ">=", 1.5, [0, 1]),
    ],
)
def test_columns_are_compared_with_values(column: str, comparison: str, value: Any, places: list[int]) -> None:
    conditions = [Condition(column, Comparison(comparison), value)]
    assert rows_that(ROWS.lazy(), conditions).collect().equals(ROWS[places])
    assert some_rows(ROWS.lazy(), conditions, None, 0, 9) == (len(places), ROWS[places].to_dicts())


@pytest.mark.parametrize(
    ("column", "comparison", "value"),
    [
        ("nosuch", "=", 1),
        ("count", "=", "many"),
        ("count", "contains", "1"),
        ("count", "=", True),
        ("sensor", ">", 1),
        ("sensor", ">", None),
        ("slot", ">", "yesterday"),
        ("day", ">", 5),
        ("select", "=", "perhaps"),
    ],
)
def test_what_can_not_be_compared_is_refused(column: str, comparison: str, value: Any) -> None:
    with pytest.raises(ParameterError) as caught:
        rows_that(ROWS.lazy(), [Condition(column, Comparison(comparison), value)])
    assert caught.value.next


def test_rows_are_sorted_with_those_without_a_value_last_and_given_in_parts() -> None:
    for sort, places in [("count", [0, 2, 1]), ("-count", [2, 0, 1]), ("-slot", [2, 1, 0])]:
        assert some_rows(ROWS.lazy(), [], sort, 0, 9) == (None, ROWS[places].to_dicts())
        assert some_rows(ROWS.lazy(), [], sort, 1, 1) == (None, ROWS[places[1:2]].to_dicts())
    with pytest.raises(ParameterError, match="no column"):
        some_rows(ROWS.lazy(), [], "-nosuch", 0, 9)
