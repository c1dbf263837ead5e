"""Reports that are made when their schedule comes due: once for each moment, whatever dies, fails or is away."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.execution.command import Folder, until
from tests.reports.world import World, monthly
from tests.servers.mail_server import MailServer

from trikk.core.cron import ticks
from trikk.core.errors import DefinitionError
from trikk.core.zones import zone_of
from trikk.execution.project import Project
from trikk.execution.run_options import How
from trikk.execution.session import Session
from trikk.reports.page import render as rendering
from trikk.reports.schedule import BEGAN, DUE, ENDED, Due, next_entry
from trikk.runs.journals.ledger import Entry
from trikk.runs.journals.sqlite_journal import SqliteJournal
from trikk.server.presence.project_look import Watched, look_at

PIPELINES = '''
import os
import time
from pathlib import Path

from trikk import Report, pipeline, step
from trikk.reports.page import render as rendering

ROOT = Path(__file__).parent
MAIL = b"Subject: People\\r\\nMessage-ID: <1@city.example>\\r\\n\\r\\nall is well\\r\\n"


def render(spec, data):
    """A page in no time, in the place of the real one."""
    if (ROOT / "bad").exists():
        raise ValueError("a bad page")
    if os.environ.get("SLOW"):
        (ROOT / "rendering").touch()
        time.sleep(60)
    folder = ROOT / "pages" / data["period"] / data["customer"].replace("*", "all")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {"report.html": data["period"].encode(), "mail.eml": MAIL}.items():
        (folder / name).write_bytes(text)
    return folder


rendering.render = render
OPTIONS


@step
def note(day: str) -> None: ...


@pipeline
def night(day: str):
    note(day)
'''
OSLO = {"timezone": "Europe/Oslo"}
EVERYBODY = {"recipients": {"*": ["team@city.example", "board@city.example"]}}
DELAYS = st.sampled_from([timedelta(minutes=1), timedelta(hours=5), timedelta(days=1), timedelta(days=33)])


def at(text: str) -> datetime:
    """A time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def declared(schedule: str | None = "0 6 1 * *", **options: Any) -> str:
    given = {"monitors": ["people"], "schedule": schedule, **OSLO, **EVERYBODY, **options}
    return f"monthly = Report('monthly', **{given!r})"


class Place:
    """A project whose monitor has been evaluated, looked at in this process at any time."""

    def __init__(self, root: Path, ledger: Path) -> None:
        self.root = root
        self.versions = 0
        (root / ".trikk").mkdir()
        shutil.copy(ledger, root / ".trikk" / "journal.db")
        self.settings = ""
        self.declare(declared())

    def declare(self, code: str) -> None:
        """Let the project declare another report, or none."""
        self.versions += 1
        self.module = f"{self.root.name}_{self.versions}"
        (self.root / f"{self.module}.py").write_text(PIPELINES.replace("OPTIONS", code))
        self.write(self.settings)

    def write(self, settings: str) -> None:
        self.settings = settings
        (self.root / "trikk.toml").write_text(f'name = "city"\npipelines = ["{self.module}"]\n{settings}\n')

    @property
    def project(self) -> Project:
        return Project.open(self.root)

    def look(self, now: str) -> Watched:
        project = self.project
        with Session(project, How(inline=True)) as session:
            return look_at(project, session, at(now))

    def runs(self) -> list[tuple[str, Any]]:
        rows = self.project.journal.runs(pipeline="report_monthly", limit=None)
        return [(row.state, row.parameters["period"]) for row in reversed(rows)]

    def mails(self) -> list[str]:
        return sorted(path.name.rpartition("-")[0] for path in (self.root / ".trikk" / "outbox").glob("*.eml"))


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "journal.db"
    journal = SqliteJournal(path)
    World(journal)
    journal.close()
    return path


@pytest.fixture
def place(tmp_path: Path, ledger: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(rendering, "render", rendering.render)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = Place(tmp_path, ledger)
    yield found
    for number in range(found.versions + 1):
        sys.modules.pop(f"{tmp_path.name}_{number}", None)


def test_a_report_is_made_for_the_period_that_ended_last_before_its_moment_and_once(place: Place) -> None:
    assert not any(place.look("2020-03-29T12:00").to_json().values())
    assert place.look("2020-04-01T03:59:59").lines == []
    looked = place.look("2020-04-01T04:00")
    run = place.project.journal.runs(limit=1)[0]
    assert looked.lines == [
        f"report    monthly for 2020-03, run {run.id} succeeded: mail for 2 is in .trikk/outbox"
    ]
    assert run.origin == {"kind": "schedule", "tick": "2020-04-01T04:00:00+00:00", "at": 1585713600.0}
    (made,) = looked.to_json()["reports"]
    assert (made["report"], made["period"], made["run"], made["attempt"]) == ("monthly", "2020-03", run.id, 1)
    assert [page["reached"] for page in made["deliveries"]] == [["board@city.example", "team@city.example"]]
    for later in ("2020-04-01T04:00", "2020-04-30T12:00", "2020-03-30T12:00"):
        assert place.look(later).lines == []
    assert place.runs() == [("succeeded", "2020-03")]
    assert place.mails() == ["monthly-2020-03-all"]


def test_of_missed_moments_the_last_is_made_and_the_others_are_named(place: Place) -> None:
    place.look("2019-12-15T12:00")
    looked = place.look("2020-04-01T12:00")
    assert [(one["period"], one["state"]) for one in looked.reported.reports] == [("2020-03", "succeeded")]
    (note,) = looked.notes
    assert note.startswith(
        "report monthly: 3 earlier times were missed; trikk report monthly --for 2019-12 --send"
    )
    assert note.endswith("(also 2020-01, 2020-02)")
    assert place.look("2020-04-01T12:05").notes == []


def test_the_first_look_after_a_backfill_makes_no_report_of_an_empty_month(place: Place) -> None:
    place.look("2020-03-30T23:59")
    looked = place.look("2026-11-29T12:00")  # March was over, and not told of; nothing is known since
    assert [one["period"] for one in looked.reported.reports] == ["2020-03"]
    assert looked.notes == []
    again = place.look("2027-02-10T12:00")
    assert again.reported.reports == []
    (note,) = again.notes
    assert note.startswith("report monthly for 2027-01 is not made: no monitor of it has figures; ")
    assert note.endswith("; trikk report monthly --for 2027-01 --send")
    assert (place.look("2027-02-10T12:05").lines, place.look("2027-02-10T12:05").notes) == ([], [])
    assert [one["period"] for one in place.look("2027-03-01T12:00").reported.reports] == [
        "2027-02"
    ]  # it is watched


def test_the_files_of_a_scheduled_report_lie_where_those_of_the_command_do(place: Place) -> None:
    place.look("2020-03-29T12:00")
    (made,) = place.look("2020-04-01T04:00").to_json()["reports"]
    folder = place.root / ".trikk" / "reports" / "monthly" / "2020-03" / "all"
    assert made["files"] == [str(folder)]
    assert (folder / "report.html").read_text() == "2020-03"
    (place.root / ".trikk" / "reports" / "monthly" / "2020-04").write_text("in the way")
    looked = place.look("2020-05-01T04:00")
    assert [one["state"] for one in looked.reported.reports] == ["succeeded"]
    assert "can't be put in their place" in looked.notes[0]
    assert "trikk report monthly --for 2020-04" in looked.notes[0]


def test_a_changed_schedule_begins_anew_and_one_that_is_gone_ends(place: Place) -> None:
    place.look("2020-03-29T12:00")
    place.declare(declared("0 6 * * MON", period="week"))
    assert place.look("2020-04-02T12:00").lines == []
    looked = place.look("2020-04-06T04:00")
    assert [one["period"] for one in looked.reported.reports] == ["2020-W14"]
    for gone in (declared(None), ""):
        place.declare(gone)
        assert place.look("2020-04-14T12:00").lines == []
        place.declare(declared("0 6 * * MON", period="week"))
        assert place.look("2020-04-15T12:00").lines == []
    assert [one["period"] for one in place.look("2020-04-20T04:00").reported.reports] == ["2020-W16"]
    kinds = [entry.kind for entry in place.project.journal.entries("report/monthly/schedule")]
    assert kinds == [BEGAN, BEGAN, DUE, ENDED, BEGAN, ENDED, BEGAN, DUE]


def test_a_report_that_fails_is_tried_three_times_told_as_an_incident_and_then_noted(place: Place) -> None:
    place.look("2020-03-29T12:00")
    (place.root / "bad").touch()
    first = place.look("2020-04-01T04:00")
    assert "a bad page" in first.lines[0]
    assert place.look("2020-03-30T12:00").reported.reports == []
    assert first.notes == []
    second = place.look("2020-04-01T04:05")
    assert [change["incident"] for change in second.outcome.changes] == ["report_monthly.failed-1"]
    third = place.look("2020-04-01T04:10")
    (run,) = place.project.journal.runs(limit=None)
    assert third.notes == [
        f"report monthly for 2020-03 has failed 3 times and is not tried again; trikk resume {run.id}"
    ]
    assert place.look("2020-04-01T04:15").reported.reports == []
    (place.root / "bad").unlink()
    place.look("2020-04-20T04:00")
    assert place.runs() == [("failed", "2020-03")]
    looked = place.look("2020-05-01T04:00")
    assert looked.notes[0].startswith(
        "report monthly: 1 earlier time was missed; trikk report monthly --for 2020-03"
    )
    assert place.runs()[1:] == [("succeeded", "2020-04")]
    assert "resolved" in [change["kind"] for change in place.look("2020-05-01T04:05").outcome.changes]


def test_a_report_that_has_failed_is_resumed_at_the_next_look(place: Place) -> None:
    place.look("2020-03-29T12:00")
    (place.root / "bad").touch()
    place.look("2020-04-01T04:00")
    (place.root / "bad").unlink()
    (made,) = place.look("2020-04-01T04:05").reported.reports
    assert (made["state"], made["attempt"]) == ("succeeded", 2)
    assert place.runs() == [("succeeded", "2020-03")]
    assert place.mails() == ["monthly-2020-03-all"]


def test_what_a_mail_server_that_is_away_did_not_take_is_sent_after_growing_pauses(place: Place) -> None:
    server = MailServer()
    place.write(f'[reports]\nsmtp = "smtp://127.0.0.1:{server.port}"')
    place.look("2020-03-29T12:00")
    line = place.look("2020-04-01T04:00").lines[0]
    assert "succeeded: sent to 0 of 2; team@city.example: " in line
    tried = {}
    for minute in (0.5, 1, 2, 3, 6, 7):
        now = at("2020-04-01T04:00") + timedelta(minutes=minute)
        tried[minute] = len(place.look(f"{now:%Y-%m-%dT%H:%M:%S}").reported.mails)
    assert tried == {0.5: 0, 1: 1, 2: 0, 3: 1, 6: 0, 7: 1}
    server.start()
    try:
        assert place.look("2020-04-01T04:16").lines == ["mailed    monthly for 2020-03: 2 of 2 have it"]
        assert place.look("2020-04-03T04:00").lines == []
    finally:
        server.stop()
    assert [people for people, _ in server.mails] == [["team@city.example", "board@city.example"]]


def test_mails_that_became_files_are_not_sent_when_there_is_a_mail_server_later(place: Place) -> None:
    place.look("2020-02-20T12:00")
    place.look("2020-03-01T12:00")
    server = MailServer()
    server.start()
    try:
        place.write(f'[reports]\nsmtp = "smtp://127.0.0.1:{server.port}"')
        assert place.look("2020-03-20T12:00").lines == []
        assert place.look("2020-04-01T12:00").lines[0].endswith("sent to 2")
    finally:
        server.stop()
    assert len(server.mails) == 1


def test_wrong_settings_are_told_and_use_up_no_attempt(place: Place) -> None:
    place.look("2020-03-29T12:00")
    place.write('[reports]\nsmtp = "smtp://me:${NOT_SET_ANYWHERE}@mail.city.example"')
    looked = place.look("2020-04-01T04:00")
    assert "NOT_SET_ANYWHERE" in looked.errors[0]
    assert place.runs() == []
    place.write("")
    assert len(place.look("2020-04-01T04:05").reported.reports) == 1


def test_one_that_a_process_on_another_host_has_taken_on_is_left_to_it_and_told(place: Place) -> None:
    place.look("2020-03-29T12:00")
    holder = {"host": "elsewhere", "boot": "", "pid": 7, "started": 0.0}
    body: dict[str, Any] = {"pipeline": "report_monthly", "parameters": {}, "holder": holder, "since": time.time()}
    subject = "tick/report/monthly/20200401T040000Z"
    place.project.journal.add(subject, "start.claimed", body, at=0.0, identity="start/1")
    looked = place.look("2020-04-01T04:00")
    assert looked.lines == []
    assert "process 7 on elsewhere" in looked.notes[0]
    assert "trikk report monthly --for 2020-03 --send" in looked.notes[0]


def test_a_watch_that_is_killed_in_the_middle_of_a_report_makes_it_once(place: Place) -> None:
    place.look("2020-03-29T12:00")
    folder = Folder(place.root)
    process = folder.start("watch", "--once", "--now", "2020-04-01T04:00", SLOW="1")
    until(lambda: (place.root / "rendering").exists())
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (found,) = place.look("2020-04-01T04:05").reported.reports
    assert (found["state"], found["attempt"]) == ("running", 1)
    assert found["why"] == "the process that started it is gone; the next look goes on"
    (made,) = place.look("2020-04-01T04:10").reported.reports
    assert (made["state"], made["attempt"], made["run"]) == ("succeeded", 2, found["run"])
    assert place.look("2020-04-01T04:15").reported.reports == []
    assert place.runs() == [("succeeded", "2020-03")]
    assert place.mails() == ["monthly-2020-03-all"]
    (listed,) = folder.good("report")["reports"]
    assert listed["schedule"] == "0 6 1 * *"
    assert datetime.fromisoformat(listed["due"]) < datetime.now(UTC) < datetime.fromisoformat(listed["next"])
    assert listed["due"][7:16] == listed["next"][7:16] == "-01T06:00"
    assert "0 6 1 * *  due since " in folder.trikk("report").out


def test_a_watch_that_is_told_to_end_ends_and_another_goes_on_with_its_report(place: Place) -> None:
    now = datetime.now(UTC)
    place.look(f"{now - timedelta(days=40):%Y-%m-%dT%H:%M}")
    process = Folder(place.root).start("watch", "--every", "1s", SLOW="1")
    until(lambda: (place.root / "rendering").exists())
    process.send_signal(signal.SIGTERM)
    assert Folder(place.root).end(process).code == 130
    assert [state for state, _ in place.runs()] == ["cancelled"]
    place.look(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}")
    assert [state for state, _ in place.runs()] == ["succeeded"]


def test_two_watches_at_once_make_a_report_once(place: Place) -> None:
    place.look("2020-03-29T12:00")
    folder = Folder(place.root)
    both = [folder.start("watch", "--once", "--now", "2020-04-01T04:00", "--json") for _ in range(2)]
    ended = [folder.end(process) for process in both]
    assert [done.code for done in ended] == [0, 0], ended
    assert sum(len(done.json["reports"]) for done in ended) == 1
    assert place.runs() == [("succeeded", "2020-03")]
    assert place.mails() == ["monthly-2020-03-all"]


def test_a_backfill_that_watches_makes_the_report_when_its_nights_come_to_it(place: Place) -> None:
    nights = ["--from", "2020-03-30", "--to", "2020-04-02", "--at", "23:59", "--watch"]
    done = Folder(place.root).trikk("backfill", "night", *nights, "-p", "day=x")
    assert done.code == 0, done
    lines = [line for line in (done.out + done.err).splitlines() if "report " in line]
    assert len(lines) == 1
    assert "monthly for 2020-03" in lines[0]


@pytest.mark.parametrize("wrong", ["monthly", "0 6 30 2 *", "0 0 6 1 * *", ""])
def test_a_schedule_that_never_comes_is_refused_where_it_is_declared(wrong: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        monthly(schedule=wrong)
    assert ".py" in str(refused.value.where)
    assert refused.value.next


def entry(kind: str, body: dict[str, Any], now: datetime) -> Entry:
    return Entry(1, "report/monthly/schedule", kind, now.timestamp(), body)


@pytest.mark.parametrize(
    ("first", "now", "tick", "period"),
    [
        ("2020-03-28T12:00", "2020-03-29T00:59", None, None),
        ("2020-03-28T12:00", "2020-03-29T01:00", "2020-03-29T01:00:00+00:00", "2020-03-28"),
        ("2020-03-29T12:00", "2020-03-30T00:30", "2020-03-30T00:30:00+00:00", "2020-03-29"),
        ("2020-10-24T12:00", "2020-10-25T00:30", "2020-10-25T00:30:00+00:00", "2020-10-24"),
        ("2020-10-25T00:30", "2020-10-25T01:30", None, None),
    ],
)
def test_where_clocks_change_a_daily_report_comes_once_a_day(
    first: str, now: str, tick: str | None, period: str | None
) -> None:
    spec = monthly(schedule="30 2 * * *", period="day", **OSLO).spec
    kind, body = next_entry(spec, None, at(first)) or ("", {})
    assert kind == BEGAN
    found = next_entry(spec, entry(kind, body, at(first)), at(now))
    assert (found and found[1]["tick"], found and found[1]["period"]) == (tick, period)


@given(
    st.sampled_from(["0 6 1 * *", "30 2 * * *", "0 */6 * * MON"]),
    st.sampled_from(["Europe/Oslo", "Pacific/Auckland"]),
    st.integers(0, 365 * 24 * 60),
    st.lists(DELAYS, max_size=12),
)
@settings(max_examples=60)
def test_every_moment_is_made_or_missed_whenever_one_looks(
    line: str, zone: str, minute: int, delays: list[timedelta]
) -> None:
    spec = monthly(schedule=line, timezone=zone).spec
    now = began = at("2020-01-01T00:00") + timedelta(minutes=minute)
    held, made, missed = None, [], 0
    for delay in (timedelta(), *delays):
        now += delay
        while (new := next_entry(spec, held, now)) is not None:
            held = entry(*new, now)
            if due := Due.read(held):
                made.append(due.tick)
                missed += due.times
    everything = list(ticks(line, zone_of(zone), began, now))
    assert made == sorted(set(made))
    assert set(made) <= set(everything)
    assert len(made) + missed == len(everything)
    assert made[-1:] == everything[-1:]


def test_the_period_is_that_before_the_moment_and_not_before_the_look() -> None:
    spec = monthly(schedule="0 6 1 1 *", **OSLO).spec
    held = entry(BEGAN, {"schedule": "0 6 1 1 *", **OSLO}, at("2019-12-15T12:00"))
    kind, body = next_entry(spec, held, at("2020-03-15T12:00")) or ("", {})
    assert (kind, body["period"], body["times"]) == (DUE, "2019-12", 0)


def test_very_many_missed_moments_are_not_counted() -> None:
    spec = monthly(schedule="* * * * *").spec
    held = entry(BEGAN, {"schedule": "* * * * *", "timezone": "UTC"}, at("2020-01-01T00:00"))
    kind, body = next_entry(spec, held, at("2024-01-01T00:00")) or ("", {})
    assert (kind, body["times"], body["tick"]) == (DUE, 100, "2024-01-01T00:00:00+00:00")
