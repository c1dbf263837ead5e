"""A trap for look-ahead: the feature is the answer, made known an hour too late to be of use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier

from trikk import FeatureTable

START = datetime(2024, 3, 1, tzinfo=UTC)
DAYS, LINES = 250, 12


@pytest.fixture(scope="module")
def trap() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Trips whose outcome is a coin's, and the outcomes as features, known an hour after each departure."""
    random = np.random.default_rng(7)
    trips = pl.DataFrame(
        {
            "line": np.repeat([f"line {n}" for n in range(LINES)], DAYS),
            "departure": [START + timedelta(days=d, hours=9) for _ in range(LINES) for d in range(DAYS)],
            "late": random.integers(0, 2, LINES * DAYS),
        },
        schema_overrides={"departure": pl.Datetime("us", "UTC")},
    )
    known = pl.col("departure") + timedelta(hours=1)
    return trips, trips.select("line", known.alias("known"), pl.col("departure").alias("about"), was_late="late")


def score(training: pl.DataFrame) -> float:
    """How well the feature tells the outcome of trips that the model has not seen; 0.5 is chance."""
    rows = training.drop_nulls("was_late").sort("departure")
    half = rows.height // 2
    model = DecisionTreeClassifier(max_depth=3, random_state=0).fit(rows[["was_late"]][:half], rows["late"][:half])
    return float(roc_auc_score(rows["late"][half:], model.predict_proba(rows[["was_late"]][half:])[:, 1]))


@pytest.mark.parametrize("event", [None, "about"])
def test_a_model_on_features_as_of_the_moment_does_no_better_than_chance(trap: tuple, event: str | None) -> None:
    trips, facts = trap
    outcomes = FeatureTable("outcomes", entity="line", time="known", event=event, features=["was_late"])
    training = outcomes.join_as_of(trips, on="departure", table=facts)
    assert training["was_late"].null_count() == LINES
    assert abs(score(training) - 0.5) < 0.06


def test_a_delay_closes_the_trap_where_only_the_time_of_the_event_is_kept(trap: tuple) -> None:
    trips, facts = trap
    careless = FeatureTable("outcomes", entity="line", time="about", features=["was_late"])
    delayed = FeatureTable("outcomes", entity="line", time="about", features=["was_late"], available_after="1h")
    assert score(careless.join_as_of(trips, on="departure", table=facts)) == 1.0
    assert abs(score(delayed.join_as_of(trips, on="departure", table=facts)) - 0.5) < 0.06


def test_the_trap_is_a_trap_a_join_with_the_latest_value_of_the_day_is_perfect(trap: tuple) -> None:
    trips, facts = trap
    latest = trips.join(facts, left_on=["line", "departure"], right_on=["line", "about"], how="left")
    assert score(latest) == 1.0
