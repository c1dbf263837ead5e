"""`trikk timeline`: one story from the entries of incidents, models and reports, and its picture."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.execution.command import Folder

from trikk.alerts.incidents.decision import Change, Opening
from trikk.alerts.rules.rule import Severity
from trikk.alerts.rules.runs import FailureRule
from trikk.models.registry import Registry
from trikk.models.version import ModelVersion
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.runs.journals.sqlite_journal import SqliteJournal
from trikk.storage.artifact import Artifact
from trikk.timeline import happenings
from trikk.timeline.happenings import Happenings
from trikk.timeline.timeline_picture import story

PROJECT = Path(__file__).parent.parent / "alerts" / "watched_project"


def register(journal: Any, at: float) -> None:
    registry = Registry(journal)
    saved = Artifact("0" * 64, "pickle", 9, {})
    made = registry.register(ModelVersion("people", 0, saved, created=at, run="r1", pipeline="train"))
    registry.move("people", "champion", made.version, "main", by="me", why="it is better", at=at)
    registry.move("people", "champion", made.version, "staging", by="me", why="to try it", at=at)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    root = tmp_path / "watched"
    shutil.copytree(PROJECT, root, ignore=shutil.ignore_patterns("__pycache__", ".trikk"))
    found = Folder(root)
    for day, error, days in [("2020-03-01", 11, 1), ("2020-03-02", 15, 2)]:
        found.good("run", "fill", "-p", f"day={day}", "-p", f"error={error}", "-p", f"days={days}")
    found.good("watch", "--once", "--now", "2020-03-04T00:30")
    found.good("run", "fill", "-p", "day=2020-03-04", "-p", "error=11", "-p", "days=2")
    found.good("watch", "--once", "--now", "2020-03-06T00:30")
    journal = SqliteJournal(root / ".trikk" / "journal.db")
    register(journal, 1583366400.0)  # 5 March
    journal.close()
    return found


def test_an_incident_what_it_started_and_a_promotion_are_told_in_their_order(folder: Folder) -> None:
    told = folder.good("timeline")["happenings"]
    assert [(one["kind"], one["severity"]) for one in told if one["kind"] != "message"] == [
        ("incident", "alarm"),
        ("run", ""),
        ("run", ""),
        ("model", ""),
        ("model", ""),
        ("incident", "good"),
    ]
    whats = [one["what"] for one in told]
    assert "people.loss-1 starts train" in whats
    assert "people@champion is 1" in whats
    assert [one["at"] for one in told] == sorted(one["at"] for one in told)
    assert sum(one["kind"] == "message" for one in told) == 2
    assert all(one["why"] for one in told if one["kind"] == "incident")


def test_people_read_it_without_the_messages_that_arrived(folder: Folder) -> None:
    out = folder.trikk("timeline").out
    assert out.splitlines()[1].startswith("2020-03-04 00:30  incident  people: mae > 3: opened (people.loss-1)  ")
    assert "told on" not in out
    assert "told on" in folder.trikk("timeline", "--all").out


def test_a_time_is_chosen_by_days_of_the_projects_zone(folder: Folder) -> None:
    told = folder.good("timeline", "--from", "2020-03-05", "--to", "2020-03-05")["happenings"]
    assert {one["kind"] for one in told} == {"model"}
    assert "--from soon" in folder.refused("timeline", "--from", "soon")["what"]
    assert "nothing has happened" in folder.trikk("timeline", "--to", "2019-01-01").out


def test_a_monitors_story_is_drawn(folder: Folder) -> None:
    target = folder.root / "story.png"
    assert folder.good("timeline", "--picture", str(target), "--metric", "mae")["picture"] == str(target)
    data = target.read_bytes()
    assert (data[:4], int.from_bytes(data[16:20])) == (b"\x89PNG", 1600)
    folder.good("timeline", "--picture", str(target))
    assert target.read_bytes() == data
    assert "wape" in folder.refused("timeline", "--picture", str(target), "--metric", "wape")["what"]
    assert "people" in folder.refused("timeline", "--picture", str(target), "--monitor", "peopel")["next"]
    refused = folder.refused("timeline", "--picture", str(folder.root))
    assert "can't be written" in refused["what"]


def test_the_picture_knows_incidents_and_champions(folder: Folder) -> None:
    journal = SqliteJournal(folder.root / ".trikk" / "journal.db")
    found = story(journal, "people", "main")
    journal.close()
    assert [value for _, value, _ in found.points] == [1.0, 5.0, 5.0, 1.0, 1.0]
    assert [(f"{at:%d}", version) for at, version in found.champions] == [("05", "people 1")]
    ((lane),) = found.lanes
    assert (lane.title, lane.severity) == ("mae > 3", "alarm")
    assert [(f"{a:%d}", f"{b:%d}") for a, b in lane.spans if b] == [("04", "06")]


def test_a_roll_back_is_no_promotion() -> None:
    journal = MemoryJournal()
    register(journal, 1.0)
    register(journal, 2.0)
    Registry(journal).rollback("people", "champion", "main", by="ada", why="it fell", at=3.0)
    moved = [one for one in happenings(journal, "main") if "@" in one.what]
    assert [(one.what, one.why) for one in moved] == [
        ("people@champion is 1", "it is better"),
        ("people@champion is 2, was 1", "it is better"),
        ("people@champion is rolled back to 1, was 2", "it fell"),
    ]


def test_only_the_moves_of_an_environment_are_told() -> None:
    journal = MemoryJournal()
    register(journal, 1.0)
    assert [one.what for one in happenings(journal, "staging")] == ["people 1 registered", "people@champion is 1"]
    assert [one.what for one in happenings(journal, "other")] == ["people 1 registered"]


def test_what_happened_is_kept_in_memory_and_taken_in_when_it_is_new() -> None:
    journal = MemoryJournal()
    kept = Happenings(journal, "main")
    assert kept.between() == []
    opening = Opening(rule=FailureRule(name="failed").to_json(), subject="people", title="mae is high",
                      severity=Severity.ALARM, since=1.0)  # fmt: skip
    for number in range(1, 5):
        register(journal, 10.0 - number)  # told from earlier times: they come before what is there
        subject = f"incident/people.loss-{number}"
        journal.add(subject, Change.OPENED, {**opening.to_json(), "why": "bad", "tell": []}, at=float(number))
        if number % 2:
            assert kept.between() == happenings(journal, "main")
        journal.add(subject, Change.RESOLVED, {"why": "good", "tell": []}, at=number + 0.5)
    whole = kept.between()
    assert whole == happenings(journal, "main") == sorted(whole, key=lambda one: (one.at, one.seq))
    assert len(whole) == 4 * 4
    assert kept.between(2.0, 7.0) == [one for one in whole if 2.0 <= one.at < 7.0]
    pages, after = [], None
    while page := kept.between(1.5, None, after=after, limit=3):
        pages += page
        after = page[-1].at, page[-1].seq
    assert pages == [one for one in whole if one.at >= 1.5]


def test_an_entry_that_can_not_be_read_is_told_of_at_each_look() -> None:
    journal = MemoryJournal()
    kept = Happenings(journal, "main")
    register(journal, 1.0)
    journal.add("model/people", "alias.moved", {}, at=2.0)
    for _ in range(2):
        with pytest.raises(KeyError):
            kept.between()
