"""One row for each entity and slot: which of several predictions counts, and where one-sided cases belong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from trikk.monitoring.cases import cases
from trikk.monitoring.definition import MonitorSpec
from trikk.monitoring.figures import figures

START = datetime(2020, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def spec(**more: Any) -> MonitorSpec:
    return MonitorSpec(
        "loads", "made", "came", ("trip",), "slot", **{"observed": "load", "metrics": ("mae",), **more}
    )


def made(*rows: tuple[int, float, timedelta], **columns: Any) -> pl.LazyFrame:
    """Trip, value, and how long before the slot it was predicted."""
    found = {
        "trip": [trip for trip, _, _ in rows],
        "slot": [START + HOUR] * len(rows),
        "value": [value for _, value, _ in rows],
        "predicted_at": [START + HOUR - before for _, _, before in rows],
    }
    return pl.LazyFrame({**found, **columns})


def came(*rows: tuple[int, float], **columns: Any) -> pl.LazyFrame:
    found = {"trip": [t for t, _ in rows], "slot": [START + HOUR] * len(rows), "load": [v for _, v in rows]}
    return pl.LazyFrame({**found, **columns})


def joined(one: MonitorSpec, predictions: pl.LazyFrame, truth: pl.LazyFrame) -> pl.DataFrame:
    return cases(one, predictions, truth, START, START + timedelta(days=1)).sort("trip")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_hindsight_takes_the_place_of_no_prediction_that_was_made_in_time(order: tuple[int, int, int]) -> None:
    rows = [(1, 10.0, 2 * HOUR), (1, 11.0, HOUR), (1, 12.0, -50 * HOUR)]
    found = joined(spec(), made(*(rows[i] for i in order)), came((1, 12.0)))
    assert found["_predicted"].to_list() == [11.0]


def test_hindsight_counts_where_there_is_nothing_else() -> None:
    found = joined(spec(), made((1, 10.0, -1 * HOUR), (1, 11.0, -2 * HOUR)), came((1, 12.0)))
    assert found["_predicted"].to_list() == [11.0]


def test_a_truth_that_nobody_predicted_counts_in_the_slice_that_the_truth_names() -> None:
    predictions = made((1, 10.0, HOUR), (2, 10.0, HOUR), line=["A", "B"])
    found = joined(spec(slices=("line",)), predictions, came((1, 10.0), (3, 9.0), line=["A", "B"]))
    assert found["line"].to_list() == ["A", "B", "B"]
    by_line = {
        f.value: (f.predicted, f.observed, f.unpredicted) for f in figures(spec(slices=("line",)), found)[1:]
    }
    assert by_line == {"A": (1, 1, 0), "B": (1, 1, 1)}


def test_of_two_names_for_a_slice_that_of_the_prediction_counts() -> None:
    found = joined(spec(slices=("line",)), made((1, 10.0, HOUR), line=["A"]), came((1, 10.0), line=["B"]))
    assert found["line"].to_list() == ["A"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_no_prediction_and_no_truth(value: float) -> None:
    found = joined(spec(), made((1, value, HOUR), (2, 10.0, HOUR)), came((1, 10.0), (2, value)))
    (whole,) = figures(spec(), found)
    assert (whole.predicted, whole.observed, whole.labelled) == (1, 1, 0)
