"""Rules, alarms and the section of trikk.toml: what is accepted, and what is refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trikk import Alarm, Drift, Monitor, Table
from trikk.alerts.config import DEFAULTS, alert_settings
from trikk.alerts.rules.kinds import checked, read_rule
from trikk.core.errors import DefinitionError, ProjectError, UsageError
from trikk.core.settings import load_settings
from trikk.monitoring.monitor_definition import MonitorSpec


def monitor(*alarms: Alarm) -> Monitor:
    return Monitor(
        "people",
        predictions=Table("predictions"),
        truth=Table("counts"),
        key="sensor",
        slot="slot",
        observed="count",
        metrics=["mae", "bias"],
        slices=["sensor"],
        windows=["day"],
        minimum=7,
        alarms=alarms,
    )


def test_an_alarm_is_part_of_its_monitor_and_survives_json() -> None:
    made = monitor(
        Alarm("loss", when="mae > 3 for 2 windows", starts="train", cooldown="1h"),
        Alarm("late", kind="labels overdue"),
    )
    spec = MonitorSpec.read(made.spec.to_json())
    assert spec == made.spec
    rules: list[Any] = [read_rule(one) for one in spec.alarms]
    loss, late = rules
    assert (loss.monitor, loss.when, loss.windows, loss.starts, loss.cooldown) == (
        "people",
        "mae > 3",
        2,
        "train",
        3600,
    )
    assert (loss.severity, loss.min_labelled, loss.escalate_after) == ("alarm", 7, 86400)
    assert (late.kind, late.severity, late.escalate_after) == ("labels overdue", "warning", 0)


@pytest.mark.parametrize(
    ("alarms", "what"),
    [
        ([{"when": "rmse > 3"}], "'rmse', which the monitor does not measure"),
        ([{"when": "mae > baseline"}], "the monitor has none"),
        ([{"when": "estimated(mae) > 3"}], "the estimate of mae, which the monitor does not make"),
        ([{"when": "mae > 3", "slice": "hour"}], "by which the monitor does not slice"),
        ([{"when": "mae > 3", "window": "week"}], "which the monitor does not make"),
        ([{"when": "mae > 3"}, {"when": "mae > 4"}], "two alarms are named 'loss'"),
    ],
)
def test_a_monitor_refuses_an_alarm_that_does_not_fit_it(alarms: list[Any], what: str) -> None:
    with pytest.raises(DefinitionError, match=what) as caught:
        monitor(*(Alarm("loss", **one) for one in alarms))
    assert "test_rules.py" in str(caught.value.where)


@pytest.mark.parametrize(
    ("task", "when", "what", "instead"),
    [
        (
            "multiclass",
            "f1 < 0.7",
            "rule loss: f1 does not fit many classes",
            "f1_macro, f1_weighted or f1[CLASS]",
        ),
        ("multiclass", "mae > 3", "rule loss: mae does not fit many classes", "balanced_accuracy"),
        ("binary", "rmse > usual", "rule loss: rmse does not fit two classes", "recall"),
        ("binary", "estimated(top_2_accuracy) < 1", "rule loss: top_2_accuracy does not fit two", "recall"),
        ("multiclass", "f1[worn] < 0.7", "names 'f1[worn]', which the monitor does not measure", "f1[two words]"),
        ("multiclass", "f2 < 0.7", "names 'f2', which the monitor does not measure", "accuracy"),
    ],
)
def test_an_alarm_on_a_metric_that_does_not_fit_is_refused(task: str, when: str, what: str, instead: str) -> None:
    tables: dict[str, Any] = {"predictions": Table("p"), "truth": Table("t"), "task": task}
    metrics = ["accuracy", *(["f1[two words]", "recall[a:b.c]"] if task == "multiclass" else [])]

    def made(condition: str) -> Monitor:
        alarms = [Alarm("loss", when=condition)]
        return Monitor("m", **tables, key="k", slot="s", observed="o", metrics=metrics, alarms=alarms)

    with pytest.raises(DefinitionError) as refused:
        made(when)
    assert what in str(refused.value)
    assert instead in str(refused.value.next)
    if task == "multiclass":
        spec = made('f1["two words"] < 0.7 and recall[a:b.c] > 0').spec
        assert MonitorSpec.read(spec.to_json()) == spec
        assert (spec.metrics, spec.own) == (("accuracy", "f1[two words]", "recall[a:b.c]"), {})


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"when": "mae >"}, "is wrong at character 6"),
        ({}, "of no kind that is known"),
        ({"kind": "sunny"}, "of no kind that is known"),
        ({"when": "mae > 3", "kind": "run failed"}, "takes no `when`"),
        ({"when": "mae > 3", "severity": "bad"}, "severity = 'bad'"),
        ({"when": "mae > 3 for 2 windows", "windows": 3}, "given twice"),
        ({"when": "mae > 3 for 0 windows"}, "at least 1"),
        ({"when": "mae > 3", "windows": True}, "windows = True"),
        ({"when": "mae > 3", "cooldown": "soon"}, "cooldown: 'soon' is not a length of time"),
        ({"when": "mae > 3", "pipeline": "nightly"}, "about a monitor"),
        ({"when": 3}, "when = 3 is not a text"),
        ({"when": "mae > 3", "colour": "red"}, "a rule has no 'colour'"),
        ({"when": "mae > 3", "parameters": 3}, "parameters must be"),
        ({"kind": "run failed", "monitor": "people"}, "about a pipeline"),
        ({"kind": "run did not come", "pipeline": "nightly"}, "needs a pipeline and the time of day"),
        ({"kind": "run did not come", "pipeline": "nightly", "by": "25:00"}, "not a time of day"),
        ({"kind": "took longer than"}, "needs a budget"),
        ({"when": "mae > 3", "name": "a.b"}, "can't name a rule"),
    ],
)
def test_a_rule_that_can_not_work_is_refused(given: dict[str, Any], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        checked({"name": "loss", **given})


def test_an_alarm_on_runs_belongs_into_the_project_file() -> None:
    with pytest.raises(UsageError, match="about runs"):
        Alarm("failed", kind="run failed")


def written(folder: Path, text: str) -> Any:
    (folder / "trikk.toml").write_text(f'name = "city"\n{text}')
    return alert_settings(load_settings(folder))


def test_without_a_section_failures_go_to_files(tmp_path: Path) -> None:
    found = written(tmp_path, "")
    assert {rule.kind for rule in found.rules} == {
        "run failed",
        "labels overdue",
        "code does not load",
        "trigger did not come",
        "took longer than usual",
        "waits for a decision",
        "waits longer than",
        "server away",
        "server in trouble",
        "message set aside",
        "stream late",
    }
    assert found.route("alarm") == found.route("info") == ("file",)


def test_the_section_is_read(tmp_path: Path) -> None:
    found = written(
        tmp_path,
        """
[alerts]
url = "https://console.example.com/"
digest = 3
[alerts.channels]
team = "slack://${SLACK}/#ml"
mail = "mailto://example.com"
[alerts.routes]
info = ["file"]
warning = []
escalation = ["mail", "team"]
[[alerts.rule]]
name = "late"
kind = "run did not come"
pipeline = "nightly"
by = "04:30"
[[alerts.rule]]
name = "broke"
kind = "run failed"
severity = "warning"
""",
    )
    assert [rule.name for rule in found.rules] == ["late", "broke", *(rule.name for rule in DEFAULTS[1:])]
    assert found.channels["team"] == "slack://${SLACK}/#ml"
    assert found.route("alarm") == ("team", "mail")
    assert found.route("alarm", escalated=True) == ("team", "mail")
    assert found.route("info", escalated=True) == ("file", "mail", "team")
    assert found.route("warning") == ()
    assert (found.url, found.digest) == ("https://console.example.com", 3)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("alerts = 3", "alerts must be a section"),
        ("[alerts]\nchanels = 3", "no setting 'chanels'"),
        ("[alerts]\ndigest = 0", "alerts.digest = 0"),
        ("[alerts]\ndefaults = 1", "alerts.defaults = 1"),
        ('[alerts]\nurl = "ftp://x"', "alerts.url"),
        ("[alerts]\nchannels = 3", "must be a section"),
        ('[alerts.channels]\nteam = "t0ken"', "channel team is not an address"),
        ('[alerts.channels]\n"a/b" = "json://x"', "can't name a channel"),
        ('[alerts.routes]\nalarm = ["team"]', "names the channel 'team', which is not there"),
        ('[alerts.routes]\nloud = ["file"]', "alerts.routes has 'loud'"),
        ('[alerts.routes]\nalarm = "file"', "is not a list"),
        ("[alerts]\nrule = 3", "must be a list of sections"),
        ('[[alerts.rule]]\nname = "a"\nwhen = "mae > 3"', "does not say whose figures"),
        ('[[alerts.rule]]\nname = "a"\nmonitor = "m"\nwhen = "mae >"', "wrong at character 6"),
        (
            '[[alerts.rule]]\nname="a"\nkind="run failed"\n[[alerts.rule]]\nname="a"\nkind="gate warned"',
            "two rules",
        ),
    ],
)
def test_a_wrong_section_is_refused_and_no_address_is_shown(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(ProjectError, match=what) as caught:
        written(tmp_path, text)
    assert "t0ken" not in str(caught.value)
    assert caught.value.next


def test_an_alarm_on_drift_that_its_monitor_does_not_fit_is_told_by_a_look_alone() -> None:
    spec = monitor(Alarm("odd", kind="drift", window="week", slice="hour")).spec
    with pytest.raises(UsageError, match="which the monitor does not make"):
        read_rule(spec.alarms[0]).check_against(spec)  # type: ignore[attr-defined]


def test_numbers_of_numpy_are_as_good_as_others_in_a_monitor() -> None:
    made = Monitor(
        "people",
        predictions=Table("predictions"),
        truth=Table("counts"),
        key="sensor",
        slot="slot",
        observed="count",
        least=np.float64(0.25),
        drift=Drift(alpha=np.float64(0.01), thresholds={"ks": np.float64(0.3)}),
        alarms=[Alarm("loss", when="mae > 3", cooldown=np.float64(60), parameters={"x": np.float64(2)})],
    )
    node = next(iter(made.pipeline.graph.nodes.values()))
    spec = MonitorSpec.read(node.arguments["spec"].value)
    assert (spec.least, spec.alarms[0]["cooldown"], spec.alarms[0]["parameters"]) == (0.25, 60, {"x": 2.0})


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"name": None}, "None can't name a monitor"),
        ({"slot": None}, "slot=None is not a column"),
        ({"observed": 3}, "observed=3 is not a column"),
    ],
)
def test_what_a_monitor_can_not_do_without_is_asked_for_where_it_is_declared(
    given: dict[str, Any], what: str
) -> None:
    rest = {"name": "people", "key": "sensor", "slot": "slot", "observed": "count", **given}
    with pytest.raises(DefinitionError, match=what) as refused:
        Monitor(predictions=Table("predictions"), truth=Table("counts"), **rest)
    assert "test_rules.py" in str(refused.value.where)
