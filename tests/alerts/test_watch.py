"""`trikk watch` and `trikk incidents` as commands in a project: opened, told, started and resolved, once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.execution.command import Folder, until

from trikk.runs.journals.sqlite_journal import SqliteJournal


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    root = tmp_path / "watched"
    shutil.copytree(
        Path(__file__).parent / "watched_project", root, ignore=shutil.ignore_patterns("__pycache__", ".trikk")
    )
    return Folder(root)


def fill(folder: Folder, day: str, error: float, days: int = 1) -> None:
    """Predictions of 10 for some days, and truths that are `error` away."""
    folder.good("run", "fill", "-p", f"day={day}", "-p", f"error={10 + error}", "-p", f"days={days}")


def watch(folder: Folder, now: str) -> Any:
    return folder.good("watch", "--once", "--now", now)


def sent(folder: Folder) -> list[Any]:
    return [json.loads(line) for line in folder.lines("sent.jsonl")]


def test_a_time_without_a_zone_is_the_projects_also_as_a_parameter(folder: Folder) -> None:
    folder.write(trikk='name = "watched"\ntimezone = "Pacific/Auckland"\n')
    fill(folder, "2020-03-01", 1.0)
    for now, meant in (
        ("2020-03-04T00:30", "2020-03-03T11:30:00+00:00"),
        ("2020-03-05T00:30Z", "2020-03-05T00:30:00+00:00"),
    ):
        run = folder.good("run", "watch_people", "-p", f"now={now}")["id"]
        assert folder.good("show", run, "evaluate")["outputs"][0]["summary"]["value"]["now"] == meant


def test_an_incident_from_the_first_bad_window_to_the_all_clear(folder: Folder) -> None:
    looked = watch(folder, "2020-03-01T12:00")
    assert looked["notes"] == ["monitor people can't be evaluated yet: there is no table predictions"]
    fill(folder, "2020-03-01", 1.0)
    fill(folder, "2020-03-02", 5.0, days=2)
    looked = watch(folder, "2020-03-04T00:30")
    assert [one["why"] for one in looked["evaluated"]] == ["it was never evaluated"]
    assert [(one["incident"], one["kind"]) for one in looked["changes"]] == [("people.loss-1", "opened")]
    assert [one["state"] for one in looked["delivered"]] == ["delivered"]
    assert [one["state"] for one in looked["started"]] == ["succeeded"]
    assert folder.lines("trained.txt") == ["2020-03-04 2"]

    again = watch(folder, "2020-03-04T00:30")
    assert not any(again.values())
    fill(folder, "2020-03-04", 1.0, days=2)
    looked = watch(folder, "2020-03-06T00:30")
    assert [one["kind"] for one in looked["changes"]] == ["resolved"]
    assert [one["kind"] for one in sent(folder)] == ["opened", "resolved"]
    assert sent(folder)[0]["since"] == 1583107200.0
    assert folder.lines("trained.txt") == ["2020-03-04 2"]
    assert folder.good("incidents")["incidents"] == []

    (shown,) = folder.good("incidents", "--all")["incidents"]
    assert (shown["id"], shown["state"], shown["severity"]) == ("people.loss-1", "resolved", "alarm")
    timeline = folder.good("incidents", "people.loss-1")["timeline"]
    assert [entry["kind"] for entry in timeline] == [
        "incident.opened",
        "message.sending",
        "message.delivered",
        "start.claimed",
        "start.done",
        "incident.resolved",
        "message.sending",
        "message.delivered",
    ]
    assert "the 2nd time in a row" in folder.trikk("incidents", "people.loss-1").out
    assert folder.refused("incidents", "people.loss-9")["code"] == "unknown-name"


def test_a_failed_run_is_told_with_the_end_of_its_log_and_resolves_when_it_is_resumed(folder: Folder) -> None:
    folder.failed("run", "broken", "-p", "why=no rows today")
    looked = folder.good("watch", "--once")
    assert [one["incident"] for one in looked["changes"]] == ["broken.failed-1"]
    (message,) = sent(folder)
    assert message["step"] == "falls"
    assert "the last words" in message["log"]
    run = message["facts"]["run"]
    assert f"trikk resume {run}" in message["next"]
    acked = folder.good("incidents", "ack", "broken.failed-1", "--by", "ada")
    assert acked["acknowledged"] == "ada"
    folder.good("run", "broken")
    assert [one["kind"] for one in folder.good("watch", "--once")["changes"]] == ["resolved"]
    assert folder.refused("incidents", "resolve", "broken.failed-1", "--why", "x")["next"]


def test_an_incident_resolves_by_hand_or_when_its_rule_is_gone(folder: Folder) -> None:
    folder.failed("run", "broken", "-p", "why=no rows today")
    folder.good("watch", "--once")
    assert "takes --why" in folder.refused("incidents", "resolve", "broken.failed-1")["what"]
    assert folder.good("incidents", "resolve", "broken.failed-1", "--why", "known")["resolved_why"] == "known"
    assert [one["kind"] for one in folder.good("watch", "--once")["changes"]] == ["suppressed"]
    folder.failed("run", "broken", "-p", "why=no rows again")
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert [one["incident"] for one in watch(folder, later)["changes"]] == ["broken.failed-2"]
    folder.write(
        trikk='name = "watched"\n[alerts]\ndefaults = false\n[alerts.channels]\nbook = "file:sent.jsonl"\n'
    )
    assert [(one["kind"], one["why"]) for one in watch(folder, later)["changes"]] == [
        ("resolved", "no rule failed looks at broken any more")
    ]


def test_wrong_settings_are_told_before_or_beside_the_work(folder: Folder) -> None:
    toml = (folder.root / "trikk.toml").read_text()
    folder.write(trikk=toml + '[[alerts.rule]]\nname = "x"\nmonitor = "people"\nwhen = "mae >"\n')
    assert "character 6" in folder.refused("watch", "--once")["what"]
    folder.write(
        trikk=toml
        + 'bad = "nosuch://x.example"\n[[alerts.rule]]\nname = "f"\nkind = "run failed"\npipeline = "gone"\n'
    )
    folder.failed("run", "broken", "-p", "why=no rows today")
    done = folder.trikk("watch", "--once", "--json")
    assert done.code == 1
    assert "'gone', which is not there" in done.json["errors"][0]
    assert "channel bad" in done.json["errors"][1]
    assert len(sent(folder)) == 1
    assert folder.refused("watch", "--now", "2020-03-01")["code"] == "parameter"
    assert folder.refused("watch", "--once", "--now", "noon")["code"] == "parameter"


def test_two_watches_at_once_open_tell_and_start_once(folder: Folder) -> None:
    fill(folder, "2020-03-02", 5.0, days=2)
    both = [folder.start("watch", "--once", "--now", "2020-03-04T00:30", "--json") for _ in range(2)]
    ended = [folder.end(process) for process in both]
    assert [done.code for done in ended] == [0, 0], ended
    watch(folder, "2020-03-04T00:30")
    assert len(sent(folder)) == 1
    assert len(folder.lines("trained.txt")) == 1
    (incident,) = folder.good("incidents")["incidents"]
    assert [start["state"] for start in incident["starts"]] == ["succeeded"]


def test_a_watch_that_is_killed_while_it_trains_starts_nothing_twice(folder: Folder) -> None:
    fill(folder, "2020-03-02", 5.0, days=2)
    process = folder.start("watch", "--once", "--now", "2020-03-04T00:30", SLOW="1")
    until(lambda: (folder.root / "learning").exists())
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    looked = watch(folder, "2020-03-04T00:40")
    (started,) = looked["started"]
    assert started["why"].endswith(f"trikk resume {started['run']}")
    assert watch(folder, "2020-03-04T00:50")["started"] == []
    assert len(sent(folder)) >= 1
    assert [one["incident"] for one in sent(folder)].count("people.loss-1") == 1
    (row,) = [row for row in folder.good("runs")["runs"] if row["pipeline"] == "train"]
    assert row["origin"]["incident"] == "people.loss-1"
    assert len(folder.lines("trained.txt")) == 1


def test_alarms_are_told_though_the_projects_code_is_broken(folder: Folder) -> None:
    folder.failed("run", "broken", "-p", "why=no rows today")
    code = (folder.root / "pipelines.py").read_text()
    folder.write(pipelines=code + "\nimport nothing_of_that_name\n")
    looked = folder.failed("watch", "--once")
    assert {one["incident"]: one["kind"] for one in looked["changes"]} == {
        "broken.failed-1": "opened",
        "_project.code-1": "opened",
    }
    assert [one["state"] for one in looked["delivered"]] == ["delivered"] * 2
    assert "nothing_of_that_name" in looked["errors"][0]
    assert folder.failed("watch", "--once")["changes"] == []
    folder.write(pipelines=code)
    (change,) = folder.good("watch", "--once")["changes"]
    assert (change["incident"], change["kind"]) == ("_project.code-1", "resolved")


def test_what_another_host_took_on_and_never_ended_is_taken_over(folder: Folder) -> None:
    fill(folder, "2020-03-02", 5.0, days=2)
    journal = SqliteJournal(folder.root / ".trikk" / "journal.db")
    claim: dict[str, Any] = {"holder": {"host": "pod-1", "boot": "", "pid": 7, "started": 0.0}}
    journal.add("watch/people", "watch.claimed", {**claim, "since": time.time()}, at=0.0)
    journal.close()
    assert watch(folder, "2020-03-04T00:30")["evaluated"] == []
    journal = SqliteJournal(folder.root / ".trikk" / "journal.db")
    journal.add("watch/people", "watch.claimed", {**claim, "since": time.time() - 1000.0}, at=0.0)
    journal.close()
    assert [one["monitor"] for one in watch(folder, "2020-03-04T00:30")["evaluated"]] == ["people"]


def test_an_incident_of_a_monitor_that_is_declared_no_more_ends(folder: Folder) -> None:
    fill(folder, "2020-03-02", 5.0, days=2)
    assert [one["kind"] for one in watch(folder, "2020-03-04T00:30")["changes"]] == ["opened"]
    code = (folder.root / "pipelines.py").read_text()
    folder.write(
        pipelines=code.replace(
            "people = Monitor(", "class Nothing:\n    def __init__(self, *a, **k): ...\n\npeople = Nothing("
        )
    )
    (change,) = watch(folder, "2020-03-05T00:30")["changes"]
    assert (change["kind"], change["why"]) == ("resolved", "no rule loss looks at people any more")


def test_an_alarm_that_looks_at_slices_from_now_on_ends_the_one_on_all_cases(folder: Folder) -> None:
    fill(folder, "2020-03-02", 5.0, days=2)
    watch(folder, "2020-03-04T00:30")
    code = (folder.root / "pipelines.py").read_text()
    code = code.replace('metrics=["mae"],', 'metrics=["mae"], slices=["sensor"],')
    folder.write(pipelines=code.replace('Alarm("loss",', 'Alarm("loss", slice="sensor",'))
    changes = {one["incident"]: (one["kind"], one["why"]) for one in watch(folder, "2020-03-04T00:40")["changes"]}
    assert changes["people.loss-1"] == ("resolved", "rule loss looks at people by sensor now")


def test_a_rule_on_one_pipeline_holds_instead_of_a_general_one_and_takes_nothing_from_others(
    folder: Folder,
) -> None:
    toml = (folder.root / "trikk.toml").read_text()
    folder.write(
        trikk=toml
        + '[[alerts.rule]]\nname = "mild"\nkind = "run failed"\npipeline = "broken"\nseverity = "info"\n'
        '[[alerts.rule]]\nname = "typo"\nkind = "labels overdue"\nmonitor = "poeple"\n'
    )
    folder.failed("run", "broken", "-p", "why=no rows today")
    folder.failed("run", "train", "-p", "day=2020-03-01", "-p", "weeks=99")
    looked = folder.failed("watch", "--once")
    assert {one["incident"]: one["severity"] for one in looked["changes"]} == {
        "broken.mild-1": "info",
        "train.failed-1": "alarm",
    }
    assert looked["errors"] == ["rule typo is about monitor 'poeple', which is not there; did you mean people?"]


def test_an_evaluation_that_fails_is_tried_again_with_growing_pauses(folder: Folder) -> None:
    fill(folder, "2020-03-02", 5.0, days=2)
    code = (folder.root / "pipelines.py").read_text()
    broken = code.replace('metrics=["mae"],', 'metrics=["mae"], slices=["nothing"],')
    folder.write(pipelines=broken)
    states = []
    for minute in (30, 31, 32, 33, 34):
        looked = watch(folder, f"2020-03-04T00:{minute}")
        states.append([one["state"] for one in looked["evaluated"]])
    assert states == [["failed"], ["failed"], [], ["failed"], []]
    folder.write(pipelines=code)
    assert [one["state"] for one in watch(folder, "2020-03-04T00:35")["evaluated"]] == ["succeeded"]


def test_a_channel_that_could_not_be_used_is_told_while_all_is_well(folder: Folder) -> None:
    toml = (folder.root / "trikk.toml").read_text()
    folder.write(trikk=toml + 'unset = "json://${NOT_SET}"\nbad = "nosuch://x.example"\n')
    looked = folder.failed("watch", "--once")
    assert [error for error in looked["errors"] if "NOT_SET" in error]
    found = {one["subject"]: one["good"] for one in folder.failed("doctor")["findings"]}
    assert (found["channel book"], found["channel unset"], found["channel bad"]) == (True, False, False)


def test_what_gets_better_is_not_told_as_still_open(folder: Folder) -> None:
    fill(folder, "2020-03-02", 5.0, days=2)
    watch(folder, "2020-03-04T00:30")
    fill(folder, "2020-03-04", 1.0)
    assert [one["kind"] for one in watch(folder, "2020-03-05T00:30")["changes"]] == ["updated"]
    fill(folder, "2020-03-05", 5.0)
    assert [one["kind"] for one in watch(folder, "2020-03-06T00:30")["changes"]] == ["updated", "escalated"]


def test_a_look_at_what_a_monitor_does_not_have_is_refused(folder: Folder) -> None:
    fill(folder, "2020-03-02", 5.0, days=2)
    watch(folder, "2020-03-04T00:30")
    assert folder.refused("monitor", "people", "--kind", "month")["next"] == "there are: day"
    assert "no slice 'line'" in folder.refused("monitor", "people", "--slice", "line=4")["what"]
    assert "mae 5" in folder.trikk("monitor").out
