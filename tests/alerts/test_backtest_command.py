"""`trikk backtest` as a user runs it, over a project whose ledger has a month of windows."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs
from tests.alerts.backtest_days import declared, drift_rule, watched_days
from tests.alerts.backtest_past import FIRST, day, evening, rule, watched
from tests.execution.command import Folder

from trikk.execution.project import Project
from trikk.monitoring.day_drift.drift_records import DriftRecords
from trikk.monitoring.figures.records import Cursor, Records

WAPES = [round(0.1 + n % 7 / 100, 2) for n in range(40)] + [0.5, 0.6, 0.1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    root: Path = tmp_path_factory.mktemp("backtest")
    found = Folder(root)
    found.write(trikk='name = "past"\npipelines = []\n')
    records = Records(Project.open(root).journal, "people")
    loss = rule("wape > 0.3", windows=2)
    alarms = (structs.replace(loss, name="loss").to_json(), drift_rule().to_json())
    records.define(structs.replace(declared(), alarms=alarms), evening(0))
    for number, record in enumerate(watched(WAPES)):
        records.put(record, identity=str(number))
    for number, compared in enumerate(watched_days([(wape / 2, wape) for wape in WAPES])):
        DriftRecords(records.ledger, "people").put(compared, identity=str(number))
    for number in range(len(WAPES) + 1):
        records.advance(Cursor(at=evening(number)), at=evening(number), identity=str(number))
    return found


def test_the_monitors_own_alarm_is_replayed_and_a_threshold_suggested(folder: Folder) -> None:
    done = folder.trikk("backtest", "people", "--known-ok", f"{FIRST}:{day(39)}", "--event", str(day(40)))
    assert done.code == 0, done.err
    assert "wape > 0.3 for 2 windows (the monitor's alarm loss)" in done.out
    assert "2020-04-11" in done.out
    assert "<- suggested" in done.out
    assert "tentative: wape > 0.1" in done.out


def test_the_same_as_json(folder: Folder) -> None:
    days = f"{FIRST}:{day(39)}"
    found = folder.trikk(
        "backtest", "people", "--when", "wape > X", "--known-ok", days, "--event", str(day(40)), "--json"
    ).json
    assert found["suggestion"]["threshold"] == 0.16
    assert found["suggestion"]["verdict"] == "tentative"
    assert found["rule"]["when"] == "wape > 0.16"
    assert [(one["night"], one["resolved_night"], one["false_alarm"]) for one in found["incidents"]] == [
        (str(day(41)), str(day(43)), False)
    ]
    assert found["windows"] == {"recorded": 43, "assumed": 0}
    by_threshold = {one["threshold"]: one for one in found["thresholds"]}
    assert by_threshold[0.16]["detections"] == [
        {"event": str(day(40)), "night": str(day(41)), "days": 1, "early": False}
    ]


def test_a_rule_on_drift_is_replayed_and_its_limit_suggested_as_it_is_written(folder: Folder) -> None:
    days = f"{FIRST}:{day(39)}"
    done = folder.trikk("backtest", "people", "--alarm", "drift", "--known-ok", days, "--event", str(day(40)))
    assert done.code == 0, done.err
    assert "people: drift by wasserstein 0.25 (the monitor's alarm drift)" in done.out
    assert "Event of 2020-04-10: 1 d before" in done.out
    assert "write: drift=Drift(thresholds={" in done.out
    told = [line.split() for line in done.out.splitlines() if line.startswith(("truth", "prediction"))]
    assert [line[:7] for line in told] == [
        ["truth", "wasserstein", "0.25", "40", "0", "0.16", "on"],
        ["prediction", "wasserstein", "0.25", "40", "0", "0.08", "on"],
    ]


def test_a_stricter_wish_meets_too_little_history(folder: Folder) -> None:
    done = folder.trikk("backtest", "people", "--metric", "mae", "--accept", "1/year")
    assert done.code == 0, done.err
    assert "not enough history" in done.out
    assert "mae > X * baseline" in done.out


@pytest.mark.parametrize(
    "wrong",
    [
        ["nobody"],
        ["people", "--when", "wape >"],
        ["people", "--when", "rmse > X"],
        ["people", "--alarm", "gain"],
        ["people", "--accept", "seldom"],
        ["people", "--known-ok", "2020-03-09"],
        ["people", "--from", "2020-05-01", "--to", "2020-04-01"],
        ["people", "--from", "1000-01-01"],
        ["people", "--to", "9999-12-31"],
        ["people", "--window", "week"],
        ["people", "--limit", "psi"],
    ],
)
def test_what_can_not_be_asked_is_told(folder: Folder, wrong: list[str]) -> None:
    done = folder.trikk("backtest", *wrong, "--json")
    assert done.code == 2
    assert done.error["next"]
