"""The steps as plain functions, and the pipelines in memory, from counts to what a monitor sees."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from city import checks, pipelines

from trikk import PermanentError, quality_gate
from trikk.quality import GateBlocked
from trikk.testing import InlineRun, MemoryJournal, MemoryStore, MemoryTables, run_inline

TODAY = date(2020, 2, 20)
TOMORROW = date(2020, 2, 21)


@pytest.fixture(scope="module")
def counts() -> pl.DataFrame:
    """Three sensors, busy by day and quiet by night, that lose a tenth of their people each week."""
    first = datetime(2019, 12, 1, 11, tzinfo=UTC)
    hours = np.arange(90 * 24)
    shape = 100 + 90 * np.sin((hours - 6) * np.pi / 12)
    people = shape * 0.9 ** (hours / 168) * np.random.default_rng(1).uniform(0.95, 1.05, hours.size)
    return pl.concat(
        pl.DataFrame({"slot": [first + timedelta(hours=int(h)) for h in hours], "count": people * scale})
        .with_columns(pl.lit(sensor).alias("sensor"))
        .select("sensor", pl.col("slot").cast(pl.Datetime("us", "UTC")), pl.col("count").round().cast(pl.Int32))
        for sensor, scale in {"A": 1, "B": 3, "C": 10}.items()
    )


@pytest.fixture(scope="module")
def night(counts: pl.DataFrame) -> InlineRun:
    """A champion is trained, and predicts the day after."""
    journal, tables = MemoryJournal(), MemoryTables({"counts": counts})
    trained = run_inline(pipelines.train, tables=tables, journal=journal, store=(store := MemoryStore()),
                         day=TODAY, weeks=6, holdout=3)  # fmt: skip
    assert trained.state == "succeeded", trained.error
    return run_inline(pipelines.nightly, tables=tables, journal=journal, store=store, day=TODAY)


def test_each_hour_of_each_counter_is_predicted_once(night: InlineRun) -> None:
    assert night.state == "succeeded", night.error
    made = night.table("predictions")
    assert made.height == 3 * 24
    assert made.select("sensor", "slot").is_unique().all()
    assert made["model_version"].unique().to_list() == [1]
    assert made["slot"].min() == datetime(2020, 2, 20, 11, tzinfo=UTC)
    assert (made["value"] >= 0).all()


def test_each_prediction_is_published(night: InlineRun) -> None:
    sent = night.output("publish")
    assert (sent["to"], sent["messages"]) == ("stream:predictions", 72)


def test_the_champion_beats_last_week_where_the_city_empties(night: InlineRun, counts: pl.DataFrame) -> None:
    tables = MemoryTables({"predictions": night.table("predictions"), "counts": counts})
    watched = run_inline(pipelines.people.pipeline, tables=tables, now=datetime(2020, 2, 23, tzinfo=UTC))
    day = next(w for w in watched.output("evaluate")["windows"] if w["label"] == str(TOMORROW))
    assert (day["state"], day["labelled"]) == ("final", 72)
    assert day["own"]["mae"] < 0.6 * day["baseline"]["mae"]


def test_a_model_that_is_no_better_is_registered_and_not_promoted(counts: pl.DataFrame) -> None:
    given = {"journal": MemoryJournal(), "store": MemoryStore(), "tables": MemoryTables({"counts": counts})}
    runs = [run_inline(pipelines.train, **given, day=TODAY, weeks=6, learning_rate=r) for r in (0.1, 1e-4)]
    assert [run.output("promote_if")["state"] for run in runs] == ["promoted", "kept"]
    assert runs[1].output("register_model")["version"] == 2


def test_what_is_learnt_from_ends_before_what_is_judged_on(counts: pl.DataFrame) -> None:
    past, _ = pipelines.build_features(counts.lazy(), TODAY, weeks=4)
    learn, recent = pipelines.split(past, TODAY, days=7)
    assert learn["day"].max() == TODAY - timedelta(days=7)
    assert (recent["day"].min(), recent["day"].max()) == (TODAY - timedelta(days=6), TODAY)


def test_counts_that_can_not_be_do_not_pass_the_gate() -> None:
    rows = pl.DataFrame({"sensor": ["A"], "slot": [datetime(2020, 2, 20, tzinfo=UTC)], "count": [-1]})
    rows = rows.cast({"slot": pl.Datetime("us", "UTC"), "count": pl.Int32})
    with pytest.raises(GateBlocked, match="count"):
        quality_gate(rows, checks.COUNTS)
    assert quality_gate(rows.with_columns(pl.lit(3, pl.Int32).alias("count")), checks.COUNTS)["passed"]


def test_what_arrives_is_the_window_up_to_the_night(tmp_path: Path) -> None:
    hours = [*range(6, 24), *range(6)]
    lines = [f"2020-02-{d:02},{h}:00-{h}:59,2020,{h}" for d in range(1, 11) for h in hours]
    source = tmp_path / "counts.csv"
    source.write_text("\n".join(["date,hour,year,Queen Street", *lines]))
    rows = pipelines.clean(pipelines.arrived(str(source), date(2020, 2, 8), days=3))
    assert rows.height == 72
    assert rows["slot"].max() == datetime(2020, 2, 8, 10, tzinfo=UTC)
    with pytest.raises(PermanentError, match="no hour"):
        pipelines.arrived(str(source), date(2021, 2, 8), days=3)
