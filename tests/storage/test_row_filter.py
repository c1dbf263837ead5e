"""Rows by a condition that a person wrote."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from trikk.core.errors import ParameterError
from trikk.storage.tables.row_filter import equals, rows_where

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
