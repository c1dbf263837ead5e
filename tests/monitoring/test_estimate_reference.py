"""Estimates that rest on a reference: NannyML's of the same rows, the truth where inputs drift, what is kept."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.envs import python_of
from tests.monitoring.probable import Made, World, overconfident, watched

from trikk.models.metrics.score_bins import LAST, bin_of, ends_of

OF_TWO = {"roc_auc": "auc", "f1": "f1", "precision": "precision", "recall": "recall", "accuracy": "accuracy"}
OF_TWO |= {"average_precision": "average_precision"}
OF_MANY = OF_TWO | {name: f"{name}_macro" for name in ("f1", "precision", "recall")}
BEFORE, DAYS = 16, 20
TOLERANCE = 0.005
"""What bins of 1/256 leave: NannyML knows each probability of the reference, and a day's figures its bin."""


def digits() -> Made:
    """Real digits by what is alike about them, and a naive Bayes model, which is as good as sure of everything."""
    data = pytest.importorskip("sklearn.datasets").load_digits()
    model = pytest.importorskip("sklearn.naive_bayes").GaussianNB(var_smoothing=1e-3)
    order = np.random.default_rng(1).permutation(len(data.target))
    train, rest = order[:500], order[500:1780]
    seen, kind = data.data[:, 10:60:4], data.target // 4
    scores = model.fit(seen[train], kind[train]).predict_proba(seen[rest])
    return Made(("low", "middle", "high"), scores, kind[rest], np.arange(1280) // 64)


def theirs(sides: dict[str, Made], folder: Path) -> dict[str, Any]:
    """What NannyML says of each of the days after the reference."""
    cases = []
    for name, made in sides.items():
        rows = made.rows
        given = [one for one in rows.columns if one.startswith("probability")]
        two = len(given) == 1
        number = {one: n for n, one in enumerate(made.names)} if two else {one: one for one in made.names}
        labels = [
            pl.col(ours).replace_strict(number).alias(its) for ours, its in (("value", "said"), ("state", "truth"))
        ]
        for part, those in (("before", rows["day"] < BEFORE), ("after", rows["day"] >= BEFORE)):
            rows.filter(those).select(*labels, *given).write_csv(folder / f"{name}-{part}.csv")
        kinds = {one.removeprefix("probability_"): one for one in given}
        cases.append(
            {
                "name": name,
                "problem": "classification_binary" if two else "classification_multiclass",
                "probability": given[0] if two else kinds,
                "chunk": rows.filter(pl.col("day") == BEFORE).height,
            }
        )
    (folder / "cases.json").write_text(json.dumps(cases))
    script = Path(__file__).with_name("peer_cbpe.py")
    python = python_of("nannyml")
    done = subprocess.run([python, script, folder], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


@pytest.mark.slow
def test_nannyml_estimates_the_same_of_the_same_days(tmp_path: Path) -> None:
    two, four = (overconfident(n, DAYS, 250, drift=0.15, after=BEFORE) for n in (2, 4))
    sides = {"two": two, "four": four, "digits": digits()}
    found = theirs(sides, tmp_path)
    for name, made in sides.items():
        names = OF_TWO if name == "two" else OF_MANY
        known = made.rows.filter(pl.col("day") < BEFORE)
        records = watched(made.rows, known, DAYS, calibrate="60d", metrics=[*names.values()])
        days = [window.whole for window in records.windows("day")[BEFORE:]]
        for its, ours in names.items():
            estimated = [day.estimated[ours] for day in days]
            assert estimated == pytest.approx(found[name][its], abs=TOLERANCE), (name, its)


@pytest.mark.parametrize("classes", [2, 4])
def test_an_estimate_sees_what_drifting_inputs_do_to_the_metric(classes: int) -> None:
    made = overconfident(classes, 16, 1500, drift=0.25, after=12)
    names = ["accuracy", "auc", "logloss", "f1" if classes == 2 else "f1_macro"]
    records = watched(made.rows, made.rows, 16, calibrate="60d", metrics=names, label_delay="8d")
    windows = records.windows("day")
    last, first = windows[-1].whole, windows[9].whole
    for name in names:
        assert last.estimated[name] == pytest.approx(last.metrics[name], abs=0.03), name
        assert abs(last.metrics[name] - first.metrics[name]) > 0.08, name  # type: ignore[operator]
    taken = watched(made.rows, made.rows, 16, calibrated=True, metrics=names).windows("day")[-1].whole
    assert taken.estimated["accuracy"] > last.metrics["accuracy"] + 0.06  # type: ignore[operator]


def test_late_labels_count_for_the_days_after_them_and_no_estimate_is_made_better() -> None:
    made = overconfident(2, 12, 100)
    day = pl.col("day")
    world = World(calibrate="30d", metrics=["f1", "accuracy"])
    before = world.look(10.5, made.rows.filter(day <= 10), made.rows.filter(day < 8)).window("day", "2020-03-11")
    assert before is not None
    assert before.state == "pending"
    assert before.whole.estimated["f1"] is not None
    records = world.look(11.5, made.rows.filter(day > 10), made.rows.filter(day.is_between(8, 10)))
    after, later = (records.window("day", f"2020-03-{day}") for day in (11, 12))
    assert after is not None
    assert later is not None
    assert after.whole.metrics["f1"] is not None
    assert after.whole.estimated == before.whole.estimated
    cases = {
        day: entry.body["cases"]
        for day in (11, 12)
        if (entry := world.journal.last(f"monitor/state/calibration/2020-03-{day}"))
    }
    assert cases == {11: 800, 12: 1100}
    assert later.whole.estimated["f1"] is not None


def test_a_reference_that_is_too_small_makes_estimates_unknown() -> None:
    made = overconfident(2, 4, 90)
    records = watched(made.rows, made.rows.filter(pl.col("day") < 3), 4, calibrate="60d", metrics=["f1", "auc"])
    few, enough = records.windows("day")[2:]
    assert few.whole.estimated == {"f1": None, "auc": None}
    assert few.whole.reasons["estimated(auc)"] == "the reference has 180 labelled cases, and 200 are asked for"
    assert enough.whole.estimated["f1"] is not None
    delayed = watched(made.rows, made.rows, 4, calibrate="60d", metrics=["f1"], label_delay="1d").windows("day")
    assert delayed[-1].whole.estimated == {"f1": None}  # the labels of the day before are not due when it begins


def by_version(made: Made, version: pl.Expr) -> pl.DataFrame:
    return made.rows.with_columns(model=pl.lit("pumps"), model_version=version.cast(pl.Int64))


def test_after_a_promotion_the_reference_is_of_the_new_version_or_there_is_none() -> None:
    worse, better = overconfident(2, 14, 300), overconfident(2, 14, 300, seed=6)
    is_new = (worse.day >= 9)[:, None]
    exact = better.scores ** (1 / 1.9)
    exact /= exact.sum(axis=1, keepdims=True)  # the tilt is left, so its curve is another one
    scores = np.where(
        is_new, exact, np.random.default_rng(4).permutation(worse.scores)
    )  # the old one knows nothing
    made = Made(worse.names, scores, np.where(is_new[:, 0], better.truth, worse.truth), worse.day)
    rows = by_version(made, pl.when(pl.col("day") < 9).then(1).otherwise(2))
    records = watched(rows, made.rows, 14, calibrate="60d", metrics=["accuracy"], windows=["day", "week"])
    days = [window.whole for window in records.windows("day")]
    why = "the reference has 0 labelled cases of the version that predicted, and 200 are asked for"
    assert (days[9].estimated["accuracy"], days[9].reasons["estimated(accuracy)"]) == (None, why)
    for number in (4, 5, 6, 7, 8, 10, 11, 12, 13):
        assert days[number].estimated["accuracy"] == pytest.approx(days[number].metrics["accuracy"], abs=0.08)
    assert days[13].metrics["accuracy"] > days[8].metrics["accuracy"] + 0.15  # type: ignore[operator]
    mixed = records.windows("week")[-1]
    assert (mixed.label, mixed.versions) == ("2020-03-09", {"pumps 1": 300, "pumps 2": 1500})
    assert mixed.whole.estimated["accuracy"] is None


def test_of_a_fleet_of_models_one_new_version_leaves_the_reference_and_a_shift_does_not() -> None:
    made, number, day = overconfident(2, 8, 300), pl.col("machine") % 20, pl.col("day")
    one_new = by_version(made, 1 + number + pl.when((number == 3) & (day == 7)).then(100).otherwise(0))
    half_new = by_version(made, pl.when((number < 10) & (day == 7)).then(2).otherwise(1))
    for rows, known in ((one_new, True), (half_new, False)):
        last = watched(rows, made.rows, 8, calibrate="60d", metrics=["accuracy"]).windows("day")[-1].whole
        assert (last.estimated["accuracy"] is not None) is known


def test_weeks_and_hours_rest_on_the_reference_of_the_day_in_which_they_begin() -> None:
    made = overconfident(2, 16, 120)
    options: dict[str, Any] = {"calibrate": "60d", "metrics": ["accuracy"], "windows": ["week", "hour", "day"]}
    records = watched(made.rows, made.rows, 16, **options)
    kept = [one.rpartition("/")[2] for one in records.ledger.subjects("monitor/state/calibration/")]
    assert kept == [f"2020-03-{day:02}" for day in range(3, 17)]
    week, day = records.windows("week")[-1], records.window("day", "2020-03-16")
    assert day is not None
    assert (week.label, week.whole.estimated) == ("2020-03-16", day.whole.estimated)
    assert records.windows("hour")[-1].whole.estimated["accuracy"] is not None


def test_older_projects_calibrate_the_value_itself() -> None:
    made = overconfident(2, 8, 200)
    rows = made.rows.with_columns(value=pl.col("probability"), state=(pl.col("state") == "leak").cast(pl.Int64))
    records = watched(
        rows.drop("probability"), rows.filter(pl.col("day") < 7), 8, calibrate="60d", metrics=["f1", "brier"]
    )
    two = watched(made.rows, made.rows.filter(pl.col("day") < 7), 8, calibrate="60d", metrics=["f1", "brier"])
    found, wanted = (one.windows("day")[-1].whole.estimated for one in (records, two))
    assert found == wanted


def test_the_ends_of_a_bin_lie_in_it() -> None:
    places = pl.Series("place", range(LAST + 1), dtype=pl.Int16)
    ends = pl.DataFrame([ends_of(place) for place in places], ["first", "last"], orient="row")
    for side in ("first", "last"):
        assert ends.select(bin_of(pl.col(side)).alias("place"))["place"].to_list() == places.to_list()
    assert (ends["first"] <= ends["last"]).all()
    assert (ends["last"].head(LAST) < ends["first"].tail(LAST)).all()
