"""One row for each entity and slot: which of several predictions counts, and where one-sided cases belong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from trikk.core.errors import UsageError
from trikk.models.registry import Registry
from trikk.models.signature import Field, Signature
from trikk.models.task import Classes
from trikk.models.version import ModelVersion
from trikk.monitoring.cases.case_join import cases
from trikk.monitoring.figures.window_figures import figures
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.storage.artifact import Artifact

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


def test_a_key_that_an_older_log_has_as_text_is_joined_as_the_truths_value_is_written() -> None:
    """9007199254740993 must not become ...992, and "007" is another key than 7."""
    large, texts = 2**53 + 1, ["9007199254740993", "9007199254740992", "7", "007", "-3", "+3", " 7"]
    predictions = made(*((n, float(n), HOUR) for n in range(len(texts)))).with_columns(trip=pl.Series(texts))
    truth = came((large, 1.0), (7, 2.0), (-3, 3.0))
    found = {
        row["trip"]: (row["_predicted"], row["_observed"]) for row in joined(spec(), predictions, truth).to_dicts()
    }
    assert found == {
        "9007199254740993": (0.0, 1.0), "9007199254740992": (1.0, None), "7": (2.0, 2.0), "007": (3.0, None),
        "-3": (4.0, 3.0), "+3": (5.0, None), " 7": (6.0, None),
    }  # fmt: skip


def test_dates_are_joined_with_their_texts_and_other_kinds_are_refused() -> None:
    predictions = made((1, 1.0, HOUR)).with_columns(trip=pl.lit("2020-03-26"))
    truth = came((1, 2.0))
    of_days = truth.with_columns(trip=pl.date(2020, 3, 26))
    assert joined(spec(), predictions, of_days)["_observed"].to_list() == [2.0]
    for other in (pl.lit(1.5), pl.lit(True)):
        with pytest.raises(UsageError, match="is String in table"):
            joined(spec(), predictions, truth.with_columns(trip=other))


def test_a_slot_in_utc_is_joined_with_one_in_the_monitors_local_time() -> None:
    truth = came((1, 2.0)).with_columns(
        pl.col("slot").dt.convert_time_zone("Europe/Oslo").dt.replace_time_zone(None)
    )
    found = joined(spec(timezone="Europe/Oslo"), made((1, 1.0, HOUR)), truth)
    assert found.select("_predicted", "_observed").rows() == [(1.0, 2.0)]


def test_probabilities_come_along_under_the_names_of_their_classes() -> None:
    rows = made((1, 1.0, HOUR), probability=[0.8], probability_leak=[float("nan")], probability_note=["none"])
    found = joined(spec(), rows, came((1, 1.0)))
    assert found.select(pl.selectors.starts_with("_probability")).rows(named=True) == [
        {"_probability": 0.8, "_probability_leak": None}
    ]
    other = joined(spec(probability="p"), made((1, 1.0, HOUR), p_3=[0.8], probability=[0.1]), came((1, 1.0)))
    assert other.select(pl.selectors.starts_with("_probability")).rows(named=True) == [{"_probability_3": 0.8}]
    assert "_probability" not in joined(spec(), made((1, 1.0, HOUR)), came((1, 1.0))).columns


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, [0.75, 0.5, 0.9]),  # the newest version's: leak
        ({"positive": "leak"}, [0.75, 0.5, 0.9]),
        ({"positive": "ok"}, [0.25, 0.5, 0.1]),
        ({"positive": "ok", "probability": "said"}, [0.1, 0.2, 0.3]),  # the author's own column
    ],
)
def test_a_probability_is_that_of_the_monitors_positive_class_whichever_a_version_gave(
    more: dict[str, Any], expected: list[float]
) -> None:
    registry = Registry(MemoryJournal())
    for positive in ("ok", "leak"):
        known = Classes(("leak", "ok"), positive)
        signature = Signature(
            (Field("x", "Float64"),), Field("value", "String"), task=known.task, classes=known, probabilities=True
        )
        artifact = Artifact("0" * 64, "pickle", 1, {"type": "Model"})
        registry.register(ModelVersion("leaks", 0, artifact, signature))
    rows = made((1, 0, HOUR), (2, 0, HOUR), (3, 0, HOUR), model="leaks", model_version=[1, 1, 2]).with_columns(
        value=pl.Series(["leak", "ok", "leak"]),
        probability=pl.Series([0.25, 0.5, 0.9]),
        said=pl.Series([0.1, 0.2, 0.3]),
    )
    truth = came((1, 0), (2, 0), (3, 0)).with_columns(load=pl.lit("leak"))
    one = spec(metrics=("auc",), **more)
    found = cases(one, rows, truth, START, START + timedelta(days=1), registry=registry).sort("trip")
    assert found["_probability"].to_list() == pytest.approx(expected)
    assert found.columns == cases(one, rows, truth, START, START + timedelta(days=1)).columns
