"""`trikk ab` and `trikk monitor` as a user meets them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from sklearn.metrics import f1_score
from tests.execution.command import Folder

from trikk.cli.model_commands.ab_command import _show
from trikk.monitoring.ab.ab_comparison import Comparison, Effect
from trikk.monitoring.ab.resampling import Spread
from trikk.monitoring.ab.verdict import Outcome, Verdict

PIPELINES = """
from measures import near
from trikk import Metric, Monitor, Table

people = Monitor("people", predictions=Table("predictions"), truth=Table("counts"), key="sensor", slot="slot",
                 observed="count", slices=["sensor"], minimum=10, expected_error="expected")
own = Monitor("own", predictions=Table("predictions"), truth=Table("counts"), key="sensor", slot="slot",
              observed="count", metrics=[Metric(near, better="higher")])
"""
MEASURES = """
import numpy as np

def near(truths, values):
    print("looking")
    return float(np.mean(np.abs(truths - values) <= 1.25))

def broken(truths, values):
    return 1 / 0
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    slots = [f"2020-03-{day:02}T{hour:02}:00:00Z" for day in range(1, 11) for hour in range(24)]
    counts = pl.DataFrame({"sensor": "north", "slot": slots, "count": [float(n % 7) for n in range(240)]})
    off = pl.Series([1.0 + (n % 5) / 10 for n in range(240)])
    predictions = counts.select(
        "sensor",
        "slot",
        (pl.col("count") + off).alias("value"),
        (pl.col("count") + off * 2 + pl.Series([n % 3 / 10 for n in range(240)])).alias("naive"),
        expected=off * 1.05,
    )
    typed = pl.col("slot").str.to_datetime(time_zone="UTC")
    counts.with_columns(typed).write_parquet(tmp_path / "counts.parquet")
    predictions.with_columns(typed).write_parquet(tmp_path / "predictions.parquet")
    made = Folder(tmp_path)
    made.write(trikk='name = "city"\npipelines = ["pipelines"]\n', pipelines=PIPELINES, measures=MEASURES)
    for table in ("counts", "predictions"):
        assert made.trikk("ingest", table, f"{table}.parquet").code == 0, table
    assert made.trikk("run", "watch_people").code == 0
    return made


def test_it_says_who_is_better_for_people_and_as_json(folder: Folder) -> None:
    told = folder.trikk("ab", "people", "column:naive", "column:value")
    assert told.code == 0, told.err
    assert "on the same 240 cases" in told.out
    assert "column:value is better than column:naive: the difference lies between -1." in told.out
    assert "sensor=north" in told.out
    assert "CHANCE: the probability of such a difference if both were equally good" in told.out
    found = folder.trikk("ab", "people", "column:naive", "column:value", "--json", "--to", "2020-03-03").json
    assert (found["cases"], found["days"], found["verdict"], found["days_needed"]) == (72, 3, "not yet known", 4)
    assert (found["from"], found["to"], found["metric"]) == ("2020-03-01", "2020-03-03", "mae")
    wrong = folder.trikk("ab", "people", "people:1", "column:value", "--json")
    assert (wrong.code, wrong.error["what"]) == (2, "there is no model 'people'")
    shown = folder.trikk("monitor", "people")
    assert "ESTIMATED MAE" in shown.out
    assert "estimate: trust: the estimate of mae was off by 5% in the last 8 windows (5% too high" in shown.out
    assert folder.trikk("monitor", "people", "--json").json["estimates"][0]["state"] == "trust"
    (listed,) = folder.trikk("monitor", "--json").json["monitors"]
    assert (listed["monitor"]["name"], listed["newest"]["label"]) == ("people", "2020-03-10")
    assert listed["evaluated"] > 1.58e9


def test_a_metric_of_the_author_s_own_is_called_in_a_worker(folder: Folder) -> None:
    assert folder.trikk("run", "watch_own").code == 0
    told = folder.trikk("ab", "own", "column:naive", "column:value")
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith("column:naive against column:value by near, on the same 240 cases\n")
    assert "0 -> 0.6: +0.6\n" in told.out
    assert "column:value is better than column:naive: the difference lies between +0." in told.out
    asked = folder.trikk("ab", "people", "column:naive", "column:value", "--metric", "measures:near")
    assert (asked.code, "--better higher" in asked.err) == (2, True)
    broken = ("ab", "own", "column:naive", "column:value", "--better", "lower", "--json", "--metric")
    error = folder.trikk(*broken, "measures:broken").error
    assert error["what"] == "the metric measures:broken raised ZeroDivisionError: division by zero"
    assert error["where"] == "measures.py:9 in broken"
    assert "can't be imported" in folder.trikk(*broken, "measures:far").error["what"]
    folder.write(measures="def near(")
    assert "module 'pipelines' can't be imported" in folder.trikk("ab", "own", "column:naive", "column:value").err


def test_of_many_slices_the_decided_ones_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    def outcome(hour: int) -> Outcome:
        return Outcome.WORSE if hour == 20 else Outcome.OPEN

    spread = Spread(1.0, 0.1, 0.8, 1.2, 10)
    slices = [
        Effect("hour", str(hour), 10, 1.0, 2.0, spread, Verdict(outcome(hour), "why"), 1 - hour / 99)
        for hour in range(24)
    ]
    found = Comparison("m", "mae", "lower", "a", "b", None, slices[0], tuple(slices))
    _show(found.to_json(), every=False)
    shown = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("hour=")]
    assert shown == [f"hour={hour}" for hour in range(12, 24)]
    _show(found.to_json(), every=True)
    assert capsys.readouterr().out.count("hour=") == 24


VERSIONS = """
import polars as pl
from trikk import Model, Monitor, Table, pipeline, predict, register_model, step

readings, one, other = Table("readings"), Table("one"), Table("other")
pump = Monitor("pump", predictions=one, truth=readings, key="pump", slot="slot", observed="state",
               metrics=["f1_macro"])


class Likely:
    def __init__(self, classes):
        self.classes_ = classes

    def predict(self, rows):
        return [self.classes_[int(n) % len(self.classes_)] for n in rows["x"]]


@step
def fitted(classes: str) -> Likely:
    return Likely(classes.split())


@pipeline
def train(classes: str):
    register_model(fitted(classes), "pump", inputs=readings)


@pipeline
def night():
    one.append(predict(Model("pump:1"), readings, key="pump", slot="slot"))
    other.append(predict(Model("pump:2"), readings, key="pump", slot="slot"))
"""


def test_a_version_that_knows_a_class_more_is_compared_from_the_shell(tmp_path: Path) -> None:
    slots = pl.datetime_range(pl.datetime(2020, 3, 1), pl.datetime(2020, 3, 10), "6h", time_zone="UTC", eager=True)
    rows = pl.DataFrame({"pump": "north", "slot": slots, "x": [float(n) for n in range(len(slots))]})
    states = [("dry", "leak", "ok", "worn")[n % 4] for n in range(len(slots))]
    rows.with_columns(state=pl.Series(states)).write_parquet(tmp_path / "readings.parquet")
    made = Folder(tmp_path)
    made.write(trikk='name = "city"\npipelines = ["pipelines"]\n', pipelines=VERSIONS)
    assert made.trikk("ingest", "readings", "readings.parquet").code == 0
    for classes in ("dry leak ok", "dry leak ok worn"):
        assert made.trikk("run", "train", "-p", f"classes={classes}").code == 0
    for pipeline in ("night", "watch_pump"):
        assert made.trikk("run", pipeline).code == 0
    told = made.trikk("ab", "pump", "pump:1", "pump:2")
    unseen = states.count("worn")
    assert told.code == 0, told.err
    assert f"of classes that pump:1 does not know, and counted as wrong for it: worn ({unseen})" in told.out
    found = made.trikk("ab", "pump", "pump:1", "pump:2", "--json").json
    said = [("dry", "leak", "ok")[n % 3] for n in range(len(slots))]
    assert found["first"] == pytest.approx(f1_score(states, said, average="macro"))
    assert (found["second"], found["unseen_classes"]) == (1, {"worn": unseen})
