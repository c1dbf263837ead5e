"""Data that did not come: devices and tables, read as rows are appended, told as one when they are many."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trikk.alerts.config import alert_settings
from trikk.alerts.look import Looked, look
from trikk.alerts.rules import silence_times as silence_read
from trikk.alerts.rules.kinds import checked, read_rule
from trikk.alerts.rules.rule import Reading, Scene
from trikk.alerts.rules.silence import MANY, SilenceRule
from trikk.alerts.rules.silence_times import Known, newer
from trikk.alerts.rules.sources import see
from trikk.core.errors import ProjectError, TableError, UsageError
from trikk.core.settings import load_settings
from trikk.execution.project import Project
from trikk.execution.run_options import How
from trikk.execution.session import Session
from trikk.storage.tables.table_write import Write
from trikk.storage.tables.types import Mode

START = datetime(2020, 3, 1, tzinfo=UTC)
HOUR = 3600


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def rule(**more: Any) -> SilenceRule:
    given = {"name": "silent", "kind": "data did not come", "table": "readings", "time": "at", "within": "2h"}
    made = checked({**given, "slice": "device", **more})
    assert isinstance(made, SilenceRule)
    return made


def of_silence(project: Project, silent: SilenceRule, now: datetime) -> list[Reading]:
    return silent.readings(Scene(project, now), silent.subject)


def shape(found: list[Reading]) -> dict[str, bool]:
    """Whether each cause is bad; "" is the table."""
    return {reading.part[1] if reading.part else "": reading.points[-1].bad for reading in found}


def known(**hours: float) -> Known:
    return Known(START.timestamp(), 3, {name: int(at(h).timestamp()) for name, h in hours.items()})


def judged(of: Known, hours: float, **more: Any) -> list[Reading]:
    return rule(**more).judge(of, at(hours).timestamp(), "Europe/Oslo")


class Table:
    """A table in a project, and looks at it."""

    def __init__(self, root: Path, toml: str = "") -> None:
        (root / "trikk.toml").write_text(f'name = "city"\ntimezone = "Europe/Oslo"\n{toml}')
        self.root = root
        self.project = Project.open(root)
        self.count = 0

    def write(self, rows: list[tuple[float, str | None]], mode: Mode = "append", **more: Any) -> None:
        self.count += 1
        frame = pl.DataFrame(
            {"at": [at(h) for h, _ in rows], "device": [d for _, d in rows]},
            schema={"at": pl.Datetime("us", "UTC"), "device": pl.String},
        )
        self.project.tables.write("readings", Write(mode, frame, **more), identity=str(self.count), origin={})

    def see(self, hours: float, **more: Any) -> dict[str, bool]:
        return shape(of_silence(self.project, rule(**more), at(hours)))

    def kept(self) -> list[Any]:
        return [entry.body for entry in self.project.journal.entries("silence/readings/silent")]


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path)


# ---- what is silent


def test_each_device_is_a_cause_and_says_since_when() -> None:
    whole, north, south = judged(known(north=0.0, south=4.5), 5)
    assert (whole.points[0].bad, north.points[0].bad, south.points[0].bad) == (False, True, False)
    assert north.title == "readings: device north silent for more than 2 h 00 min"
    assert north.points[0].text == "no row since 2020-03-01 01:00 CET"
    assert (north.cause, north.part) == ("readings.silent.device.north", ("device", "north"))
    assert north.points[0].start == at(0).timestamp()
    assert judged(known(north=0.0), 9)[1].points == judged(known(north=0.0), 5)[1].points


def test_exactly_as_old_as_allowed_is_not_silent() -> None:
    assert shape(judged(known(north=3.0), 5)) == {"": False, "north": False}
    assert shape(judged(known(north=3.0), 5.001)) == {"": False, "north": True}


def test_a_device_that_was_not_seen_for_long_is_no_longer_expected() -> None:
    whole, north, _ = judged(known(north=0.0, south=24 * 31), 24 * 31)
    assert not whole.points[0].bad
    assert not north.points[0].bad
    assert north.points[0].text == "not seen for 30 days, no longer expected"
    assert shape(judged(known(north=0.0), 24 * 31)) == {"": True, "north": False}


def test_most_of_many_devices_are_one_cause_and_few_are_told_one_by_one() -> None:
    def fleet(silent: int, all_: int) -> Known:
        return known(**{f"d{n}": 0.0 if n < silent else 4.0 for n in range(all_)})

    assert sum(shape(judged(fleet(5, 10), 5)).values()) == 5
    assert sum(shape(judged(fleet(MANY - 1, MANY - 1), 5)).values()) == MANY - 1
    found = judged(fleet(6, 10), 5)
    assert shape(found) == {"": True, "d6": False, "d7": False, "d8": False, "d9": False}
    assert found[0].title == "readings: 6 of 10 silent, by device"
    assert (found[0].points[0].badness, found[0].points[0].start) == (6.0, at(0).timestamp())


def test_a_value_that_is_no_text_for_a_line_is_made_one() -> None:
    names = {"a\nSubject: x": 0.0, "": 0.0, "x" * 99: 0.0}
    found = judged(known(**names), 5)[1:]
    assert [reading.title.split(" silent")[0] for reading in found] == [
        r"readings: device a\nSubject: x",
        'readings: device ""',
        f"readings: device {'x' * 60}...",
    ]
    assert len({reading.cause for reading in found}) == 3


@given(
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 99)),
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 99)),
)
def test_nothing_that_was_seen_is_taken_back(before: dict[str, int], more: dict[str, int]) -> None:
    found = newer(before, more)
    assert found == newer(more, before) == newer(found, more)
    assert set(found) == {*before, *more}


# ---- how a table is read


def test_what_is_appended_is_all_that_is_read(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    table.write([(0.0, "north"), (0.0, "south"), (0.0, None)])
    assert table.see(1) == {"": False, "north": False, "south": False}
    tables: Any = table.project.tables
    monkeypatch.setattr(tables, "scan", lambda *_: pytest.fail("the whole table is read"))
    table.write([(2.0, "north")])
    assert table.see(3) == {"": False, "north": False, "south": True}
    table.write([(3.0, "south"), (1.0, "north")])
    assert table.see(4.5) == {"": False, "north": True, "south": False}
    monkeypatch.setattr(tables, "appended", lambda *_: pytest.fail("it is read again"))
    silence = table.project.journal.last("silence/readings/silent")
    assert silence is not None
    assert (silence.body["version"], silence.at) == (2, at(4.5).timestamp())
    assert table.see(6) == {"": False, "north": True, "south": True}


def test_the_ledger_gets_an_entry_an_hour_at_most(table: Table) -> None:
    for step in range(12):
        table.write([(step / 4, "north")])
        assert table.see(step / 4) == {"": False, "north": False}
    assert [body["version"] for body in table.kept()] == [0, 4, 8]


def test_a_table_that_is_written_anew_is_scanned_and_what_was_known_stays(table: Table) -> None:
    table.write([(0.0, "north"), (0.0, "south")])
    table.see(0)
    table.write([(2.5, "north")], "overwrite")
    assert table.see(3) == {"": False, "north": False, "south": True}
    table.write([(3.0, "south"), (1.0, "north")], "merge", key=("device",))
    assert table.see(3.5) == {"": False, "north": False, "south": False}
    assert [body["scanned"] for body in table.kept()] == [True, True]
    assert table.see(24 * 31)["south"] is False  # no longer expected


def test_rows_from_before_a_device_is_known_for_are_not_read(table: Table) -> None:
    table.write([(-48.0, "old"), (0.0, "north")])
    assert table.see(1, known_for="1d") == {"": False, "north": False}


def test_a_table_as_a_whole(table: Table) -> None:
    table.write([(-24 * 99, "a")])
    assert table.see(1, slice="") == {"": True}
    table.write([(0.0, "a")])
    assert table.see(1, slice="") == {"": False}
    assert table.see(2.5, slice="") == {"": True}


def test_a_table_that_is_not_there_yet_is_bad_after_a_while(table: Table) -> None:
    (found,) = of_silence(table.project, rule(), at(0))
    assert (found.points[0].bad, found.points[0].text) == (False, "there is no table readings")
    assert table.see(2) == {"": False}
    assert table.see(2.5) == {"": True}
    assert len(table.kept()) == 1
    table.write([])
    (found,) = of_silence(table.project, rule(), at(3))
    assert (found.points[0].bad, found.points[0].text) == (True, "table readings has no row")
    table.write([(3.0, "north")])
    assert table.see(3.5) == {"": False, "north": False}


def test_a_row_from_the_future_says_that_its_device_lives_and_not_for_ever(table: Table) -> None:
    table.write([(0.0, "south"), (24.0 * 365, "north"), (0.9, "soon")])
    assert table.see(0) == {"": False, "south": False, "north": False, "soon": False}
    assert table.kept()[-1]["times"]["north"] == at(0).timestamp()
    assert table.see(2.5) == {"": False, "south": True, "north": True, "soon": False}
    table.write([(24.0 * 365 + 3, "north")])
    assert table.see(3)["north"] is False
    assert table.see(6)["north"] is True
    table.write([(24.0 * 365, "north")], "overwrite")
    assert table.see(6.5)["north"] is True  # nobody can say whether it is new


def test_a_row_counts_at_its_own_time_when_that_has_come(table: Table) -> None:
    table.write([(0.0, "north"), (10.0, "north"), (20.0, "north")])
    assert [table.see(hours)["north"] for hours in (1, 5, 10.5, 13, 20, 23)] == [
        False,
        True,
        False,
        True,
        False,
        True,
    ]


def test_a_look_as_of_an_earlier_time_spoils_nothing(table: Table) -> None:
    table.write([(0.0, "north")])
    table.see(0)
    table.write([(9.0, "north")])
    assert table.see(3)["north"] is False  # as of then it has just come
    assert table.see(10)["north"] is False
    assert table.see(11.5)["north"] is True


def test_another_column_begins_anew(table: Table) -> None:
    table.write([(0.0, "north")])
    assert table.see(5) == {"": False, "north": True}
    assert table.see(5, slice="") == {"": True}
    assert table.kept()[-1]["of"] == {"time": "at", "slice": ""}


def test_times_without_a_zone_are_taken_as_utc_and_values_of_any_type(table: Table) -> None:
    frame = pl.DataFrame({"at": [at(0).replace(tzinfo=None), at(4).replace(tzinfo=None)], "device": [1, 2]})
    table.project.tables.write("readings", Write("append", frame), identity="x", origin={})
    assert table.see(5) == {"": False, "1": True, "2": False}
    frame = frame.with_columns(pl.col("at") + pl.duration(hours=5))
    table.project.tables.write("readings", Write("overwrite", frame), identity="y", origin={})
    assert table.see(9.5) == {"": False, "1": True, "2": False}


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"time": "when"}, "has no column 'when'; it has: at, device"),
        ({"slice": "sensor"}, "has no column 'sensor'"),
        ({"time": "device"}, "column device of table readings is String, and no time"),
    ],
)
def test_columns_that_are_not_there_are_told(table: Table, more: dict[str, Any], what: str) -> None:
    table.write([(0.0, "north")])
    seen = see([rule(**more)], Scene(table.project, at(1)))
    assert (seen.readings, len(seen.errors)) == ([], 1)
    assert what in seen.errors[0]
    assert ("silent", "readings") in seen.watched
    assert table.kept() == []


def test_rows_that_can_not_be_used_or_read_are_told(table: Table) -> None:
    ancient = datetime(1, 1, 1, tzinfo=UTC)
    frame = pl.DataFrame(
        {"at": [ancient, ancient.replace(year=1999)], "device": ["a", "a"], "tags": [["x"], ["y"]]}
    )
    table.project.tables.write("readings", Write("append", frame), identity="x", origin={})
    with pytest.raises(
        UsageError, match=r"column tags of table readings is List\(String\), which names no device"
    ):
        table.see(1, slice="tags")
    assert (
        of_silence(table.project, rule(slice=""), at(1))[0].points[0].text == "no row since 1999-01-01 01:00 CET"
    )
    (file,) = (table.root / ".trikk/tables/readings").glob("*.parquet")
    file.write_bytes(b"x" * file.stat().st_size)
    assert table.see(1) == {"": False}  # too old to be read at all
    with pytest.raises(TableError, match="table readings can't be read"):
        table.see(1, name="all", known_for="999999d")


def test_too_many_devices_are_told_and_not_kept(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence_read, "MOST", 3)
    table.write([(0.0, name) for name in "abcd"])
    with pytest.raises(UsageError, match="more than 3 values") as caught:
        table.see(1)
    assert "coarser" in str(caught.value.next)
    assert table.kept() == []


OPERATION = st.tuples(
    st.sampled_from(["append", "append", "append", "merge", "overwrite"]),
    st.lists(st.tuples(st.integers(-40, 40), st.sampled_from("abcd")), min_size=1, max_size=4),
    st.booleans(),
)


@settings(max_examples=6, deadline=None)
@given(operations=st.lists(OPERATION, min_size=1, max_size=5))
def test_reading_what_was_added_gives_the_same_as_reading_all(
    tmp_path_factory: pytest.TempPathFactory, operations: list[Any]
) -> None:
    """A scan of every version that a look has seen, put together, is what the looks have kept."""
    table = Table(tmp_path_factory.mktemp("silence"))
    seen: dict[str, int] = {}
    for step, (mode, rows, looks) in enumerate([*operations, ("append", [(0, "a")], True)]):
        now = 40 * step
        some = {device: now + hour / 40 for hour, device in rows}  # no row is dated more than an hour ahead
        key = ("device", "at") if mode == "merge" else ()
        table.write([(hour, device) for device, hour in some.items()], mode, key=key)
        if looks:
            found = silence_read.known_by(table.project, rule(known_for="99d").source, at(now).timestamp())
            frame = table.project.tables.scan("readings").group_by("device").agg(pl.col("at").max()).collect()
            seen = newer(seen, {d: int(moment.timestamp()) for d, moment in frame.iter_rows()})
            assert found.times == seen


# ---- as incidents


def fleet(table: Table, hours: float, *, but: Callable[[int], bool] = lambda _: False) -> None:
    table.write([(hours, f"d{n}") for n in range(300) if not but(n)])


@pytest.fixture
def watched(tmp_path: Path) -> Table:
    return Table(
        tmp_path,
        'pipelines = []\n[alerts]\ndefaults = false\n[alerts.channels]\nbook = "file:sent.jsonl"\n'
        '[[alerts.rule]]\nname = "silent"\nkind = "data did not come"\n'
        'table = "readings"\ntime = "at"\nslice = "device"\nwithin = "2h"\n',
    )


def looks(table: Table, *hours: float) -> list[Looked]:
    with Session(table.project, How()) as session:
        return [look(table.project, session, now=at(h)) for h in hours]


def sent(table: Table) -> list[Any]:
    file = table.root / "sent.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_a_broker_that_is_down_is_one_message_and_so_is_its_end(watched: Table) -> None:
    fleet(watched, 0.0)
    quiet, down, again = looks(watched, 0.5, 2.5, 2.6)
    assert (quiet.changes, again.changes) == ([], [])
    (opened,) = down.changes
    assert (opened["incident"], opened["title"]) == ("readings.silent-1", "readings: 300 of 300 silent, by device")
    assert len(sent(watched)) == 1
    fleet(watched, 3.0, but=lambda n: n == 7)
    (up,) = looks(watched, 3.1)
    assert [(one["incident"], one["kind"]) for one in up.changes] == [
        ("readings.silent-1", "resolved"),
        ("readings.silent.device.d7-1", "opened"),
    ]
    assert [one["title"] for one in sent(watched)][1:] == [
        "readings: 300 of 300 silent, by device",
        "readings: device d7 silent for more than 2 h 00 min",
    ]


def test_fewer_than_half_are_incidents_of_their_own_in_one_message(watched: Table) -> None:
    fleet(watched, 0.0)
    looks(watched, 0.5)
    fleet(watched, 2.0, but=lambda n: n < 40)
    (looked,) = looks(watched, 2.5)
    assert len(looked.changes) == 40
    (message,) = sent(watched)
    assert (message["kind"], len(message["messages"])) == ("digest", 40)


def test_what_was_open_before_most_fell_silent_stays_open_until_it_comes_back(watched: Table) -> None:
    devices = [f"d{n:02}" for n in range(12)]
    watched.write([(0.0, name) for name in devices])
    watched.write([(1.0, name) for name in devices[1:]])
    with Session(watched.project, How()) as session:
        told = []
        for hours in (2.5, 3.5, 4.0):
            if hours == 4.0:
                watched.write([(4.0, name) for name in devices])
            looked = look(watched.project, session, now=at(hours))
            told.append(
                [(str(one["incident"]).removeprefix("readings.silent"), one["kind"]) for one in looked.changes]
            )
    assert told == [
        [(".device.d00-1", "opened")],
        [("-1", "opened")],
        [("-1", "resolved"), (".device.d00-1", "resolved")],
    ]


def test_an_incident_ends_when_its_device_comes_back_or_is_no_longer_expected(watched: Table) -> None:
    watched.write([(0.0, "north"), (0.0, "south"), (0.0, "west")])
    looks(watched, 0.5)
    watched.write([(24.0 * 30, "west")])
    assert len(looks(watched, 3)[0].changes) == 2
    watched.write([(5.0, "north")])
    looked = looks(watched, 5, 24 * 30 + 0.5)
    assert [(one["incident"], one["why"]) for one in looked[0].changes] == [
        ("readings.silent.device.north-1", "its newest row is of 2020-03-01 06:00 CET")
    ]
    assert ("readings.silent.device.south-1", "not seen for 30 days, no longer expected") in [
        (one["incident"], one["why"]) for one in looked[1].changes
    ]


def test_incidents_of_a_slice_that_is_no_longer_looked_at_are_withdrawn(watched: Table) -> None:
    watched.write([(0.0, "north")])
    assert len(looks(watched, 3)[0].changes) == 1
    toml = watched.root / "trikk.toml"
    toml.write_text(toml.read_text().replace('slice = "device"\n', ""))
    watched.project = Project.open(watched.root)
    (looked,) = looks(watched, 3.1)
    assert [(one["incident"], one["why"]) for one in looked.changes] == [
        ("readings.silent-1", "no row since 2020-03-01 01:00 CET"),
        ("readings.silent.device.north-1", "no rule silent looks at readings by device any more"),
    ]


# ---- how rules are written


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"table": ""}, "needs a table, its column with times"),
        ({"time": None}, "needs a table, its column with times"),
        ({"within": 0}, "how old the newest row may be"),
        ({"within": "soon"}, "within: 'soon' is not a length of time"),
        ({"table": "../x"}, "can't name a table"),
        ({"windows": 2}, "takes no `windows`"),
        ({"known_for": "30d", "slice": None}, "with `slice` only"),
        ({"known_for": "1h"}, "forgets a device before it is silent"),
        ({"monitor": "people"}, "about a table, not a monitor"),
        ({"pipeline": "nightly"}, "about a table, not a pipeline"),
        ({"when": "mae > 3"}, "takes no `when`"),
        ({"per": "day"}, "takes no `per`"),
        ({"kind": "run failed"}, "takes no `table`"),
    ],
)
def test_a_rule_that_can_not_work_is_refused(given: dict[str, Any], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        rule(**given)


def test_a_rule_is_read_from_the_project_file_and_survives_json(tmp_path: Path) -> None:
    text = '[[alerts.rule]]\nname="s"\nkind="data did not come"\ntable="readings"\ntime="at"\nwithin="2h"\n'
    (tmp_path / "trikk.toml").write_text(text)
    found = alert_settings(load_settings(tmp_path)).rules[0]
    assert (found.subject, found.within, found.known_for, found.severity) == ("readings", 7200.0, 0.0, "alarm")
    assert read_rule(json.loads(json.dumps(found.to_json()))) == found
    (tmp_path / "trikk.toml").write_text(text + text)
    with pytest.raises(ProjectError, match="two rules"):
        alert_settings(load_settings(tmp_path))
