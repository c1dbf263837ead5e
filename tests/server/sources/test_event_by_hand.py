"""Events that are named by hand: they are the ones that their sources give."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.server.schedule.places import GRAPHS, START, declared, engine_of, project_of, rows_of

from trikk.core.errors import ParameterError
from trikk.runs.events import EventKind
from trikk.server.schedule.trigger_actions import Fired, fire
from trikk.server.sources.event_by_hand import NamedEvent, event_named
from trikk.server.sources.files.file_source import FileSource
from trikk.server.sources.open_sources import place_of
from trikk.server.sources.source_memory import Memory
from trikk.testing import ManualClock
from trikk.triggers import AfterRun, FileArrived, Message, TableChanged
from trikk.triggers.declaration import Trigger

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def by_hand(project: Any, trigger: Trigger, **named: Any) -> Fired:
    one = declared(t=trigger)["t"]
    event = event_named(project, one, NamedEvent(**named), NOW)
    return fire(project, one, GRAPHS["nightly"], event=event, by="ann", now=NOW)


def test_a_file_that_is_fired_by_hand_and_then_noticed_has_one_run(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    trigger, project, clock = FileArrived("inbox/*.csv"), project_of(), ManualClock()
    project.root = tmp_path
    engine = engine_of(project, START, t=trigger)
    source = FileSource("t", place_of(tmp_path, trigger.pattern), Memory(project.journal, "t", "1"), clock)
    assert source.look() == []
    for name in ("oslo.csv", "bergen.csv"):
        (tmp_path / "inbox" / name).write_text("1")
    fired = by_hand(project, trigger, path="./inbox/oslo.csv")
    source.look()
    clock.advance(4)
    noticed = {event.path: engine.deliver("t", event, NOW.timestamp()) for event in source.look()}
    assert noticed["inbox/oslo.csv"] == Fired(run=fired.run, repeated=True)
    later = by_hand(project, trigger, path=str(tmp_path / "inbox" / "bergen.csv"))
    assert later == Fired(run=noticed["inbox/bergen.csv"].run, repeated=True)
    assert len(rows_of(project)) == 2
    assert rows_of(project)[0].parameters["event"]["path"] == "inbox/oslo.csv"  # type: ignore[index,call-overload]
    (tmp_path / "inbox" / "oslo.csv").write_text("12")
    assert not by_hand(project, trigger, path="inbox/oslo.csv").repeated


@pytest.mark.parametrize("path", ["inbox/link.csv", "inbox/.hidden.csv", "../secret.csv", "inbox/none.csv"])
def test_no_file_is_named_that_the_source_would_not_give(tmp_path: Path, path: str) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path.parent / "secret.csv").write_text("1")
    (tmp_path / "inbox" / ".hidden.csv").write_text("1")
    (tmp_path / "inbox" / "link.csv").symlink_to(tmp_path.parent / "secret.csv")
    project = project_of()
    project.root = tmp_path
    with pytest.raises(ParameterError, match="is no file that"):
        by_hand(project, FileArrived("inbox/*.csv"), path=path)


def test_a_run_whose_end_is_named_and_a_message_with_an_id_have_one_run() -> None:
    project = project_of()
    ended = by_hand(project, Message("kafka://host:9092/topic"), payload={"n": 1}, key="oslo", id="topic/0/1@2")
    assert rows_of(project)[0].origin["tick"] == "topic/0/1@2"
    assert by_hand(project, Message("kafka://host:9092/topic"), payload=7, id="topic/0/1@2").repeated
    with pytest.raises(ParameterError, match="is queued, and the trigger waits for succeeded"):
        by_hand(project_of(project.journal), AfterRun("nightly"), run=ended.run)
    project.journal.append(ended.run, EventKind.RUN_SUCCEEDED, {}, at=NOW.timestamp())
    follow = by_hand(project, AfterRun("nightly"), run=ended.run)
    assert rows_of(project)[-1].origin["tick"] == ended.run
    assert by_hand(project, AfterRun("nightly"), run=ended.run) == Fired(run=follow.run, repeated=True)


def test_what_can_be_no_event_is_refused() -> None:
    project = project_of()
    of_mqtt = Message("mqtt://host/topic", id="$.n")
    assert by_hand(project_of(), of_mqtt, payload={"n": 7}).run
    for trigger, named, says in (
        (TableChanged("counts"), {"path": "counts"}, "can't be fired with a path"),
        (Message("kafka://host:9092/topic"), {"payload": "x" * 200_001}, "the payload has 200.0 kB"),
        (Message("kafka://host:9092/topic"), {"id": "a\nb"}, "printable"),
        (of_mqtt, {"payload": {"m": 7}}, "it has no id at $.n"),
    ):
        with pytest.raises(ParameterError) as refused:
            by_hand(project, trigger, **named)
        assert says in refused.value.what
    assert rows_of(project) == []
