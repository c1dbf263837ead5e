"""Metrics of an author's own: their names, which way is better, and ledgers that knew them by another name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from trikk import Alarm, Metric, Monitor, Table, better_by
from trikk.alerts.backtest.question import Question, choose
from trikk.alerts.rules.language import parse
from trikk.alerts.rules.rule_condition import COUNTS
from trikk.core.errors import DefinitionError, UnknownName, UsageError
from trikk.models.metrics.by_name import METRICS
from trikk.monitoring.estimates.estimated_figures import ECE
from trikk.monitoring.figures.metric_names import RESERVED
from trikk.monitoring.figures.window_figures import Figures, figures
from trikk.monitoring.monitor_definition import MonitorSpec

OWN = f"{__name__}:within_3"


def within_3(truth: Any, value: Any) -> float:
    return float(np.mean(np.abs(truth - value) <= 3))


def mae(truth: Any, value: Any) -> float:
    return float(np.mean(np.abs(truth - value)))


class Shares:
    @staticmethod
    def within_3(truth: Any, value: Any) -> float:
        return within_3(truth, value)


def monitor(*metrics: Any, **more: Any) -> Monitor:
    tables: Any = {"predictions": Table("p"), "truth": Table("t")}
    return Monitor("m", **tables, key="k", slot="s", observed="o", metrics=metrics, **more)


def test_it_has_the_function_s_name_or_the_one_that_is_given_everywhere() -> None:
    spec = monitor("mae", within_3, Metric(Shares.within_3, better="higher", name="near")).spec
    assert spec.metrics == ("mae", "within_3", "near")
    assert MonitorSpec.read(spec.to_json()) == spec
    assert [spec.better(name) for name in (*spec.metrics, "coverage", ECE)] == ["lower", "", "higher", "", "lower"]
    rows = {
        "_predicted": [1.0, 9.0, 5.0],
        "_observed": [2.0, 2.0, None],
        "s": [datetime(2020, 3, 1, tzinfo=UTC)] * 3,
    }
    assert figures(spec, pl.DataFrame(rows))[0].metrics == {"mae": 4.0, "within_3": 0.5, "near": 0.5}
    assert monitor(OWN).spec.metrics == ("within_3",)


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ((within_3, Shares.within_3), "two metrics are called 'within_3'"),
        (("mae", "mae"), "two metrics are called 'mae'"),
        ((mae,), "'mae' can't name a metric"),
        ((lambda: Metric(within_3, name="usual"),), "'usual' can't name a metric"),
        ((lambda: Metric(within_3, name="quantile_3"),), "'quantile_3' can't name a metric"),
        ((lambda: Metric(within_3, name="within 3"),), "'within 3' can't be the name"),
        ((lambda: Metric(within_3, better="up"),), "better='up'"),
        ((lambda: 5,), "5 is not a metric"),
        ((lambda: lambda a, b: 0.0,), "can't be found by its name"),
        (("maee",), "no metric 'maee'"),
        ((), "needs a metric"),
    ],
)
def test_what_can_not_be_a_metric_is_refused_where_it_is_written(metrics: tuple[Any, ...], words: str) -> None:
    with pytest.raises(DefinitionError, match=words) as refused:
        monitor(*(make() if getattr(make, "__name__", "") == "<lambda>" else make for make in metrics))
    assert str(refused.value.where).startswith(__file__)
    assert refused.value.next


def test_no_name_of_conditions_and_figures_can_be_taken() -> None:
    assert {*COUNTS, ECE, "coverage", "baseline", "usual", "estimated", "abs", "and", "or", "not"} == {*RESERVED}
    for name in (*METRICS, *RESERVED):
        with pytest.raises(DefinitionError, match="can't name a metric"):
            monitor(Metric(within_3, name=name))


def test_conditions_and_backtests_call_it_by_its_name() -> None:
    rule = Alarm("near", when="within_3 < 0.7", severity="info")
    spec = monitor("mae", Metric(within_3, better="higher"), alarms=[rule], baseline="naive").spec
    assert spec.alarms[0]["when"] == "within_3 < 0.7"
    found = choose(Question("m", metric="within_3"), spec, [])
    assert found.text == "within_3 < X * baseline"
    with pytest.raises(UnknownName, match="no metric 'wape'"):
        choose(Question("m", metric="wape"), spec, [])
    with pytest.raises(UsageError, match="which way within_3 is better") as refused:
        choose(Question("m", metric="within_3"), monitor(within_3).spec, [])
    assert "Metric(within_3, better=" in str(refused.value.next)
    assert better_by(0.1, metric=Metric(within_3, better="higher")) == better_by(0.1, metric=OWN, better="higher")


def test_ledgers_that_know_it_as_module_and_function_are_read() -> None:
    spec = monitor("mae", within_3).spec
    old = {**spec.to_json(), "metrics": ["mae", OWN]}
    del old["own"]
    assert MonitorSpec.read(old) == spec
    told = Figures.read({"slice": "", "value": "", "predicted": 1, "observed": 1, "labelled": 1,
                         "metrics": {"mae": 4.0, OWN: 0.5}, "own": {OWN: 0.25}})  # fmt: skip
    assert (told.metrics, told.own) == ({"mae": 4.0, "within_3": 0.5}, {"within_3": 0.25})
    assert parse(f"{OWN} < 0.7 * baseline") == replace(
        parse("within_3 < 0.7 * baseline"), text=f"{OWN} < 0.7 * baseline"
    )
    two = {"a:share": 1.0, "b:share": 2.0}
    assert Figures.read({**told.to_json(), "metrics": two}).metrics == two
    with_two = MonitorSpec.read({**old, "metrics": [*two]})
    assert (with_two.metrics, with_two.better("a:share")) == (tuple(two), "")


def test_another_function_under_the_same_name_makes_figures_anew() -> None:
    one, other = monitor(within_3).spec, monitor(Metric(Shares.within_3)).spec
    assert one.metrics == other.metrics
    assert one.figured != other.figured
    assert one.figured == monitor(Metric(within_3, better="higher")).spec.figured
