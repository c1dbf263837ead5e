"""Quality before labels: what is expected, what came, and whether the expectation is to be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from trikk import Monitor, Table, estimate_error
from trikk.core.errors import DefinitionError, SignatureError, UsageError
from trikk.models.metrics.by_name import metric_of
from trikk.models.metrics.scoring import score
from trikk.models.signature import Signature
from trikk.models.version import ModelVersion
from trikk.monitoring.estimates.error_model import ErrorModel
from trikk.monitoring.estimates.trust import trust, trusts
from trikk.monitoring.figures.records import Records
from trikk.runs.context import StepContext, entered
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.storage.artifacts import Artifacts
from trikk.storage.stores.memory_store import MemoryStore
from trikk.testing import MemoryTables, run_inline

START = datetime(2020, 3, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small fits on busy cores are much faster so."""
    pytest.importorskip("sklearn.ensemble")
    with pytest.importorskip("threadpoolctl").threadpool_limits(1):
        yield


class Known:
    """A model that knows the mean, and has names."""

    feature_names_in_ = ("usual",)

    def predict(self, rows: Any) -> Any:
        return rows["usual"].to_numpy()


def world(rows: int, seed: int, *, loud: float = 0.3) -> pl.DataFrame:
    """Counts that scatter as much as they are large, three times as much in a share of the places."""
    generator = np.random.default_rng(seed)
    usual = generator.uniform(10, 100, rows)
    place = np.where(generator.random(rows) < loud, "loud", "quiet")
    scatter = usual * np.where(place == "loud", 0.3, 0.1)
    return pl.DataFrame({"usual": usual, "place": place, "count": usual + generator.normal(0, scatter)})


def off(rows: pl.DataFrame) -> float:
    return float((rows["usual"] - rows["count"]).abs().mean())  # type: ignore[arg-type]


def test_expected_errors_follow_the_inputs_where_what_comes_is_unlike_what_was() -> None:
    before, after = world(3000, 1), world(3000, 2, loud=0.9)
    told = estimate_error(Known(), before, after, truth="count", also=["place"]).collect()
    assert told.columns == ["usual", "place", "count", "expected_error"]
    assert told["expected_error"].mean() == pytest.approx(off(after), rel=0.08)
    assert off(after) > 1.5 * off(before)  # yesterday's error would be far off
    assert told["expected_error"].min() >= 0  # type: ignore[operator]
    one = told.filter((pl.col("place") == "loud") & (pl.col("usual") > 80))["expected_error"].mean()
    assert one == pytest.approx(0.3 * 90 * np.sqrt(2 / np.pi), rel=0.1)


def test_with_too_few_labels_nothing_is_expected() -> None:
    after = world(50, 2)
    told = estimate_error(Known(), world(50, 1), after, truth="count").collect()
    assert told["expected_error"].null_count() == 50
    unlabelled = world(300, 1).with_columns(pl.lit(float("nan")).alias("count"))
    assert estimate_error(Known(), unlabelled, after, truth="count").collect()["expected_error"].null_count() == 50


def test_a_model_that_is_never_wrong_is_expected_to_be_right() -> None:
    right = world(300, 1).with_columns(count=pl.col("usual"))
    assert estimate_error(Known(), right, right, truth="count").collect()["expected_error"].sum() == 0.0


def test_no_rows_give_no_rows() -> None:
    none = world(0, 1)
    told = estimate_error(Known(), world(300, 1), none, truth="count").collect()
    assert (told.height, told.schema["expected_error"]) == (0, pl.Float64)


def test_texts_that_were_never_seen_and_empty_inputs_are_no_crash() -> None:
    strange = world(10, 2).with_columns(place=pl.lit("new"), usual=pl.Series([None] * 5 + [50.0] * 5))
    model = ErrorModel().fit(*(lambda w: (w.select("usual", "place"), w["usual"], w["count"]))(world(500, 1)))
    told = model.expect(strange.select("usual", "place"), strange["usual"])
    assert told.is_finite().all()


def test_a_registered_model_is_asked_by_its_signature(tmp_path: Any) -> None:
    store, sample = MemoryStore(), world(300, 1)
    artifacts = Artifacts(store)
    signature = Signature.infer(sample.select("usual"), sample["usual"], takes="polars", method="predict")
    version = ModelVersion("people", 1, artifacts.save(Known()), signature)
    context = StepContext(
        "r", "r", "p", "s", None, 1, False, 0.0, "main", tmp_path, tmp_path, artifacts, None, MemoryJournal()
    )
    with entered(context):
        told = estimate_error(version, sample, sample.head(7), truth="count").collect()
        with pytest.raises(SignatureError, match="no column 'usual'"):
            estimate_error(version, sample, sample.drop("usual"), truth="count")
    assert told.height == 7


def test_a_model_of_unknown_inputs_is_refused() -> None:
    with pytest.raises(UsageError, match="inputs"):
        estimate_error(lambda rows: rows["usual"], world(300, 1), world(3, 2), truth="count")


def test_the_calibration_error_is_the_gap_weighed_by_bin() -> None:
    rows = pl.DataFrame({"p": [0.05, 0.05, 1.0, 0.95], "t": [0.0, 1.0, 1.0, 1.0]})
    found = score(metric_of("ece"), rows["t"], rows["p"])
    assert found.value == pytest.approx((abs(0.1 - 1.0) + abs(1.95 - 2.0)) / 4)


def watched(days: int, **options: Any) -> Records:
    """A monitor that has looked at so many days, the last of which has no labels yet."""
    made = []
    for number in range(days):
        rows = world(400, number)
        slots = [START + timedelta(days=number, seconds=s) for s in range(400)]
        expected = rows["usual"] * np.where(rows["place"] == "loud", 0.3, 0.1) * np.sqrt(2 / np.pi)
        made.append(rows.with_columns(slot=pl.Series(slots), expected_error=expected, sensor=pl.lit("north")))
    every = pl.concat(made)
    tables = MemoryTables(
        {
            "predictions": every.select("sensor", "slot", pl.col("usual").alias("value"), "expected_error"),
            "counts": every.select("sensor", "slot", "count").head(400 * (days - 1)),
        }
    )
    journal = MemoryJournal()
    given: dict[str, Any] = {"key": "sensor", "slot": "slot", "observed": "count", "label_delay": "1d"}
    monitor = Monitor("people", predictions=Table("predictions"), truth=Table("counts"), **given, **options)
    run = run_inline(monitor.pipeline, tables=tables, journal=journal, now=START + timedelta(days=days))
    assert run.state == "succeeded", run.error
    return Records(journal, "people")


def test_a_monitor_shows_the_estimate_before_labels_and_judges_it_after() -> None:
    records = watched(6, expected_error="expected_error")
    windows = records.windows("day")
    before, after = windows[-1].whole, windows[0].whole
    assert (windows[-1].state, before.metrics["mae"], before.estimated_labelled["mae"]) == ("pending", None, None)
    assert before.estimated["mae"] is not None
    assert after.estimated_labelled["mae"] == pytest.approx(after.metrics["mae"], rel=0.15)
    (judged,) = trusts(records.spec(), windows)
    assert (judged.state, judged.windows) == ("trust", 5)


def test_a_monitor_without_estimates_is_as_it_was() -> None:
    records = watched(2)
    assert records.windows("day")[0].whole.estimated == {}
    assert trusts(records.spec(), records.windows("day")) == []


def test_records_of_earlier_times_can_be_read() -> None:
    from trikk.monitoring.figures.window_figures import Figures

    old = {"slice": "", "value": "", "predicted": 1, "observed": 1, "labelled": 1, "metrics": {"mae": 1.0}}
    assert Figures.read(old).estimated == {}


@pytest.mark.parametrize(
    ("pairs", "state", "words"),
    [
        ([], "not yet known", "no window"),
        ([(1.0, 1.0)] * 2, "not yet known", "off by 0% in the last 2 windows"),
        ([(1.0, 1.1)] * 9, "trust", "off by 9% in the last 8 windows (9% too low on the whole)"),
        (
            [(1.0, 2.0), (3.0, 2.0)] * 2,
            "don't trust",
            "off by 50% in the last 4 windows (0% too high on the whole)",
        ),
        ([(1.0, 1.0), (1.0, 1.0), (1.0, 4.0)], "don't trust", "too low on the whole); to expect what was before"),
    ],
)
def test_an_estimate_is_trusted_by_how_far_off_it_was(
    pairs: list[tuple[float, float]], state: str, words: str
) -> None:
    found = trust("mae", pairs)
    assert found.state == state
    assert words in found.reason


@pytest.mark.parametrize("wrong", [{"expected_error": "e", "metrics": ["bias"]}, {"calibrated": True}], ids=str)
def test_a_monitor_that_could_estimate_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError):
        Monitor("x", predictions=Table("p"), truth=Table("t"), key="k", slot="s", observed="o", **wrong)


def test_calibration_is_checked_where_labels_are_in() -> None:
    generator = np.random.default_rng(3)
    p = generator.random(2000)
    slots = [START + timedelta(seconds=s) for s in range(2000)]
    rows = pl.DataFrame(
        {"sensor": "north", "slot": slots, "value": p, "count": (generator.random(2000) < p) * 1.0}
    )
    journal = MemoryJournal()
    given: dict[str, Any] = {"key": "sensor", "slot": "slot", "observed": "count", "metrics": ["f1", "auc"]}
    monitor = Monitor("c", predictions=Table("p"), truth=Table("t"), calibrated=True, slices=["hour"], **given)
    tables = MemoryTables({"p": rows.drop("count"), "t": rows.drop("value")})
    run = run_inline(monitor.pipeline, tables=tables, journal=journal, now=START + timedelta(days=1))
    assert run.state == "succeeded", run.error
    whole = Records(journal, "c").windows("day")[0].whole
    assert whole.metrics["ece"] is not None and whole.metrics["ece"] < 0.05  # noqa: PT018
    assert whole.estimated["auc"] == pytest.approx(whole.metrics["auc"], abs=0.03)
    assert whole.estimated["f1"] == pytest.approx(whole.metrics["f1"], abs=0.04)
