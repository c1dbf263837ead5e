"""Days judged anew by other limits say what a comparison by these limits would have said."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.drift import FixedWindow, SlidingWindow, TrainingData, compare
from trikk.drift.drift_verdict import Facts, Limits, decide, decided_anew
from trikk.drift.measures.methods import Measured
from trikk.monitoring.day_drift.drift_definition import Drift
from trikk.monitoring.day_drift.drift_records import DriftRecord
from trikk.monitoring.day_drift.judgement import concluded
from trikk.monitoring.day_drift.other_limits import effects_of, judged_anew
from trikk.pipeline.table_reference import Table

START = datetime(2020, 3, 2, tzinfo=UTC)
LIMIT = st.sampled_from([0.0, 0.1, 0.2, 0.5])
LIMITS = st.builds(Limits, LIMIT, LIMIT, st.just(0.05), st.just(100))


@st.composite
def facts(draw: st.DrawFn) -> tuple[Facts, float | None, float | None]:
    p_value = draw(st.sampled_from([None, 0.0, 0.05, 0.5]))
    change = draw(st.sampled_from(["", "mean 1 -> 2", "new: a (3.0%); b: 1.0% -> 2.0%"]))
    measured = Measured("ks", 1.0, draw(st.sampled_from([0.0, 0.1, 0.15, 0.3])), 0.0, 0.0, change)
    values = draw(st.sampled_from([99, 500]))
    tested = draw(st.sampled_from([None, 0.0, 0.05, 0.5]))
    shares = draw(st.sampled_from([0.0, 0.1])), draw(st.sampled_from([0.0, 0.05, 0.3]))
    is_measured = values == 500 and p_value is not None
    return Facts("a", None, measured if is_measured else None, values, 500, *shares, tested), p_value, tested


@given(facts(), LIMITS, LIMITS)
def test_a_column_judged_anew_is_as_if_it_had_been_judged_by_these_limits(known, before, now):
    found, adjusted, tested = known
    adjusted = adjusted if found.measured else None
    assert decided_anew(decide(found, adjusted, tested, before), now) == decide(found, adjusted, tested, now)


@given(facts(), LIMITS)
def test_a_column_of_before_missing_values_were_kept_stays_as_it_was(known, limits):
    found, adjusted, tested = known
    made = decide(found, adjusted if found.measured else None, tested, limits)
    again = decided_anew(replace(made, missing_adjusted=None), limits)
    assert (again.verdict, again.reason) == (made.verdict, made.reason)


def frame(shift: float, missing: int, seed: int) -> pl.DataFrame:
    draw = random.Random(seed)
    numbers = [draw.gauss(shift, 1.0) for _ in range(300)]
    return pl.DataFrame(
        {
            "speed": numbers,
            "line": ["a" if value < 0.3 else "b" for value in numbers],
            "prediction": [None] * missing + numbers[missing:],
            "error": [value / 3 for value in numbers],
        }
    )


DRIFTS = [
    Drift(),
    Drift(thresholds={"missing": 0.5, "speed": 0.9}),
    Drift(methods={"speed": "psi", "error": "wasserstein"}, thresholds={"psi": 0.01}),
    Drift(methods="psi", thresholds={"chi-square": 0.6}),
    Drift(thresholds={"ks": 0.6, "error": 0.05, "jensen-shannon": 0.3}),
]


def day(drift: Drift, rows: int) -> DriftRecord:
    """A day as the monitor compares it: with `rows` times 300 rows."""
    before = pl.concat([frame(0.0, 0, seed) for seed in range(rows)])
    options = drift.options(before.columns, numeric_error=True)
    columns = compare(before, frame(0.5, 90, 99), columns=before.columns, **options).columns
    verdict, headline = concluded(columns)
    return DriftRecord(
        "people", "day", "2020-03-02", START, START + timedelta(days=1), verdict, headline, columns, settled=True
    )


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("number", range(len(DRIFTS)))
def test_each_column_has_the_limit_that_the_comparison_used(number: int, rows: int) -> None:
    drift = DRIFTS[number]
    for column in day(drift, rows).columns:
        assert column.method is not None
        assert drift.limit(column.column, column.method)[1] == column.threshold


@pytest.mark.parametrize("rows", [1, 5])
def test_a_day_judged_anew_is_the_day_that_other_limits_would_have_made(rows: int) -> None:
    limits: list[dict[str, Any]] = [
        {},
        {"missing": 0.9},
        {"error": 0.9, "ks": 0.9},
        {"wasserstein": 2.0, "missing": 0.5},
    ]
    days = [day(Drift(thresholds=one), rows) for one in limits]
    for made in days:
        for one, wanted in zip(limits, days, strict=True):
            assert said(judged_anew(made, Drift(thresholds=one))) == said(wanted)


def said(record: DriftRecord) -> list[Any]:
    """What a record says; polars adds up in another order each time, so that numbers differ in the last digit."""
    columns = [(one.column, one.verdict, one.reason, one.threshold) for one in record.columns]
    return [record.verdict, record.headline, *columns]


def test_effects_are_those_that_a_limit_can_make_a_drift() -> None:
    found = day(Drift(), 1)
    effects = effects_of(found, Drift(thresholds={"speed": 0.4}))
    assert [(one.column, one.limit) for one in effects] == [
        ("speed", "speed"),
        ("line", "chi-square"),
        ("prediction", "ks"),
        ("prediction", "missing"),
        ("error", "error"),
    ]
    assert effects[3].size == pytest.approx(0.3)


@pytest.mark.parametrize(
    "drift",
    [
        Drift(),
        Drift(of=["predictions", "truth"], thresholds={"ks": 0.3, "größe": 0.2}),
        Drift(columns=["speed"], methods="psi", same_weekday=False, table=Table("weather"), alpha=0.01),
        Drift(reference=SlidingWindow(56, gap=7), methods={"speed": "ks"}, minimum=50),
        Drift(reference=TrainingData()),
        Drift(reference=FixedWindow(datetime(2020, 1, 1), datetime(2020, 2, 1))),  # noqa: DTZ001
    ],
)
def test_what_is_written_declares_the_same(drift: Drift) -> None:
    read = Drift.read(drift.to_json())
    names = {"SlidingWindow": SlidingWindow, "FixedWindow": FixedWindow, "TrainingData": TrainingData}
    again = eval(read.written(), {"Drift": Drift, "Table": Table, "datetime": datetime, **names})
    assert again.to_json() == drift.to_json()
    assert Drift().written() == "Drift()"
