"""`trikk triggers` and `trikk fire`, as a user has them, without a server."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.execution.command import Folder

from trikk.execution.project import Project
from trikk.runs.journals.lease import Holder
from trikk.runs.journals.server_beats import Server
from trikk.server.declaration_check import declared_triggers
from trikk.server.presence.releases import announce
from trikk.server.schedule.trigger_actions import decide_due
from trikk.server.schedule.trigger_standing import adopt

CODE = """
from datetime import date
from trikk import approval, pipeline, step
from trikk.triggers import AfterRun, Cron, Event, Interval

@step
def note(day: date, event: Event | None) -> str:
    text = f"{day} {event.kind if event else '-'} {event.id if event else '-'}"
    with open("noted.txt", "a") as file:
        file.write(text + "\\n")
    return text

@step
def fail() -> int:
    raise ValueError("it can't be done")

@pipeline(triggers=[
    Cron("0 4 13 * fri", timezone="Europe/Oslo", day_offset=-1, missed="all"),
    Interval("6h", name="often", overlap="skip"),
])
def nightly(day: date, event: Event | None = None):
    note(day, event)

@pipeline(triggers=[AfterRun("nightly")])
def broken():
    fail()

@pipeline(triggers=[Interval("1d", name="asking")])
def asks(day: date):
    note(day, None, after=approval("publish?"))
"""


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    folder = Folder(tmp_path_factory.mktemp("city"))
    folder.write(pipelines=CODE, trikk='timezone = "Europe/Oslo"\n')
    return folder


def test_triggers_are_listed_for_programs_and_people(city: Folder) -> None:
    rows = city.good("triggers")
    assert [list(row) for row in rows] == [["name", "pipeline", "kind", "next", "last", "paused", "timezone"]] * 4
    assert [(row["name"], row["pipeline"], row["kind"]) for row in rows] == [
        ("nightly-cron", "nightly", "cron"),
        ("often", "nightly", "interval"),
        ("broken-after-run", "broken", "after-run"),
        ("asking", "asks", "interval"),
    ]
    assert rows[0]["next"].endswith(":00:00+00:00")
    assert (rows[2]["next"], rows[2]["last"], rows[2]["paused"]) == (None, None, False)
    told = city.trikk("triggers").out
    assert "no server is there, so nothing is started by itself" in told
    assert "often" in told


def test_a_trigger_is_shown_in_words_with_its_next_times_and_what_became_of_it(city: Folder) -> None:
    run = city.good("fire", "nightly-cron", "--for", "2026-11-13")
    assert (run["state"], run["parameters"]["day"]) == ("succeeded", "2026-11-12")
    assert run["origin"] == {"kind": "trigger", "trigger": "nightly-cron", "tick": "2026-11-13T03:00:00+00:00"}
    told = city.trikk("triggers", "nightly-cron").out
    assert "At 04:00 on the 13th day of every month, or at 04:00 on Friday: either day is enough" in told
    assert "by the clock of Europe/Oslo" in told
    assert "-1 from the local date" in told
    assert run["id"] in told
    assert "started 2026-11-13 04:00 CET" in told
    assert "event=2026-11-13 04:00 CET (trigger nightly-cron)" in city.trikk("runs", "--pipeline", "nightly").out
    details = city.good("triggers", "nightly-cron")
    assert len(details["coming"]) == 5
    assert all("T04:00:00+0" in tick for tick in details["coming"])
    assert details["last"] == "2026-11-13T03:00:00+00:00"
    assert details["happened"][0]["state"] == "succeeded"
    assert all(datetime.fromisoformat(e["at"]).utcoffset() == timedelta(0) for e in details["happened"])
    assert [e["kind"] for e in details["happened"]] == ["tick.started", "trigger.adopted"]


def test_a_time_that_has_its_run_is_not_run_again(city: Folder) -> None:
    at = ("--for", "2026-11-20T04:00")  # by the trigger's clock
    first = city.trikk("fire", "nightly-cron", *at)
    assert first.code == 0
    again = city.trikk("fire", "nightly-cron", *at)
    assert again.out.startswith("that has its run already: ")
    same = city.good("fire", "nightly-cron", "--for", "2026-11-20T03:00:00Z")
    assert same["id"] in again.out
    assert city.lines("noted.txt").count("2026-11-19 cron 2026-11-20T03:00:00+00:00") == 1


def test_a_time_that_is_not_scheduled_is_said_to_be_none(city: Folder) -> None:
    done = city.trikk("fire", "nightly-cron", "--for", "2026-11-06T04:00Z")
    assert done.code == 0
    assert "note: nightly-cron does not come due at 2026-11-06 05:00 CET" in done.err
    assert "come due" not in city.trikk("fire", "nightly-cron", "--for", "2026-11-06T04:00").err


def test_a_run_that_waits_for_people_is_shown_to_hold_up_its_trigger(city: Folder) -> None:
    assert city.good("triggers", "asking")["held_up"] is None
    run = city.failed("fire", "asking", code=3)["id"]
    city.good("fire", "asking", "--for", "2026-11-02")
    held = city.good("triggers", "asking")["held_up"]
    assert (held["run"], held["asks"], held["waiting"]) == (run, ["publish?"], 1)
    assert f'held up    by run {run}, which asks "publish?" since ' in city.trikk("triggers", "asking").out
    assert "; 1 run behind it: trikk approvals" in city.trikk("triggers", "asking").out
    assert city.good("approve", run, "--why", "fine")["state"] == "succeeded"
    assert city.good("triggers", "asking")["held_up"] is None


def test_a_run_by_hand_that_fails_is_told_as_any_other(city: Folder) -> None:
    done = city.trikk("fire", "broken-after-run")
    assert done.code == 1
    assert "it can't be done" in done.err
    assert city.good("runs", "--pipeline", "broken")["runs"][0]["origin"]["kind"] == "trigger"


def test_a_trigger_is_paused_and_fired_all_the_same(city: Folder) -> None:
    assert "paused" in city.trikk("triggers", "pause", "often", "--why", "holiday").out
    row = city.good("triggers")[1]
    assert (row["paused"], row["next"]) == (True, None)
    assert city.good("fire", "often")["state"] == "succeeded"
    assert next(
        line for line in city.trikk("triggers", "often").out.splitlines() if line.startswith("  since")
    ).endswith("; holiday")
    assert not city.good("triggers", "unpause", "often")["paused"]
    paused = city.trikk("triggers", "pause", "often", "--until", "2099-01-01").out
    assert "paused, until 2099-01-01 00:00 CET, or `trikk triggers unpause often`" in paused
    assert city.good("triggers")[1]["paused_until"] == "2098-12-31T23:00:00+00:00"
    assert "paused until 2099-01-01 00:00 CET" in city.trikk("triggers").out
    shown = city.good("triggers", "often")
    assert (shown["happened"][0]["until"], shown["coming"][0]) == (
        shown["paused_until"],
        "2099-01-01T01:00:00+01:00",
    )
    assert "paused_until" not in city.good("triggers", "unpause", "often")
    happened = city.good("triggers", "often")["happened"][2:]
    assert [e["kind"] for e in happened][:3] == ["trigger.unpaused", "tick.started", "trigger.paused"]


def test_with_a_server_there_the_run_is_left_to_it(city: Folder) -> None:
    project, now = Project.open(city.root), time.time()
    try:
        server = Server(id="s1", holder=Holder.current(), release="abcdef0123", since=now, at=now)
        trouble = {"what": "no broker answers", "next": "start it", "since": "2026-11-30T03:00:00.000Z"}
        server = replace(server, says={"source broken-after-run": trouble})
        announce(project.journal, "abcdef0123", server, now)
        project.journal.beat(server)
        run = city.good("fire", "often", "--for", "2026-11-01T12:00")
        assert run["state"] == "queued"
        told = city.trikk("fire", "often", "--for", "2026-11-01T18:00").out
        assert "a server starts it" in told
        listed = city.trikk("triggers").out
        assert "they are fired by the servers of release abcdef01 on " in listed
        assert (
            next(line for line in listed.splitlines() if line.startswith("broken-after-run")).split()[3] == "away"
        )
        away = city.trikk("triggers", "broken-after-run").out
        assert "since 2026-11-30 04:00 CET: no broker answers; start it" in away
        project.journal.leave("s1", at=time.time())
    finally:
        project.close()
    waits = city.trikk("fire", "often", "--for", "2026-11-02T12:00").out
    assert f"waits for run {told.split()[1]} of the same trigger" in waits
    assert city.good("resume", run["id"])["state"] == "succeeded"


def test_while_the_code_does_not_load_triggers_are_shown_and_paused_as_servers_know_them(city: Folder) -> None:
    known = city.good("triggers", "pause", "often")
    city.good("fire", "nightly-cron", "--for", "2026-11-06")
    (city.root / "pipelines.py").write_text(CODE + "\nimport polarz\n")
    try:
        done = city.trikk("triggers", "--json")
        assert [row["name"] for row in done.json] == ["asking", "broken-after-run", "nightly-cron", "often"]
        assert "the project's code does not load: " in done.err
        assert "polarz" in done.err
        assert "nightly-cron" in city.trikk("triggers").out
        assert not city.good("triggers", "unpause", "often")["paused"]
        assert city.good("triggers", "often")["words"] == known["words"]
        assert "polarz" in city.refused("triggers", "other")["what"]
    finally:
        (city.root / "pipelines.py").write_text(CODE)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("triggers", "nigtly-cron"), "no trigger 'nigtly-cron'"),
        (("fire", "nigtly-cron"), "no trigger 'nigtly-cron'"),
        (("fire", "often", "--for", "soon"), "'soon' is not a time"),
        (("fire", "often", "--for", "9999-12-31"), "'9999-12-31' is not a time"),
        (("fire", "often", "--for", "2026-11-30"), "more than once on 2026-11-30"),
        (("fire", "nightly-cron", "--for", "2026-11-30"), "comes due not on 2026-11-30"),
        (("fire", "broken-after-run", "--for", "2026-11-30"), "waits for events and has no scheduled times"),
        (("fire", "often", "--path", "a.csv"), "can't be fired with a path"),
        (("fire", "broken-after-run", "--payload", "7"), "can't be fired with a payload"),
        (("fire", "broken-after-run", "--run", "nosuchrun000"), "no run 'nosuchrun000'"),
        (("triggers", "pause"), "name one trigger"),
        (("triggers", "pause", "often", "--until", "2020-01-01"), "can't end at 2020-01-01, which is past"),
        (("triggers", "pause", "often", "--until", "soon"), "'soon' is not a time"),
        (("triggers", "unpause", "often", "--until", "2099-01-01"), "--until says when a pause ends"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_way_out(
    city: Folder, arguments: tuple[str, ...], says: str
) -> None:
    assert says in city.refused(*arguments)["what"]


def test_what_is_wrong_with_triggers_is_told_by_them_and_by_doctor(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write(pipelines=CODE, trikk='[triggers.often]\npipeline = "nightly"\ncron = "0 4 * * *"\n')
    assert folder.refused("triggers")["what"] == "two triggers are named 'often'"
    findings = folder.failed("doctor")["findings"]
    assert [f["good"] for f in findings if f["subject"] == "triggers"] == [False]
    assert folder.good("run", "nightly", "-p", "day=2026-11-30")["state"] == "succeeded"


def test_doctor_says_which_webhooks_can_take_no_call(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    hooks = "".join(
        f'[triggers.{name}]\npipeline = "nightly"\nwebhook = "{name}"\nsecret = "${{HOOK_{name.upper()}}}"\n'
        for name in ("set", "unset", "short")
    )
    folder.write(pipelines=CODE, trikk=hooks)
    done = folder.trikk("doctor", "--json", HOOK_SET="a" * 32, HOOK_SHORT="c2hvcnQ=")
    told = {one["subject"]: (one["good"], one["text"]) for one in done.json["findings"]}
    assert done.code == 1
    assert told["webhook set"] == (True, "its secret is set")
    assert told["webhook unset"] == (False, "it can take no call: the environment variable HOOK_UNSET is not set")
    assert told["webhook short"][1].endswith("not 24 bytes or more in base64")
    assert "c2hvcnQ" not in done.out


def test_an_event_is_given_on_the_command_line_as_json(city: Folder) -> None:
    event = '{"id": "7", "kind": "hand", "at": "2026-11-30T03:00:00Z"}'
    assert city.good("run", "nightly", "-p", "day=2026-01-01", "-p", f"event={event}")["state"] == "succeeded"
    assert "2026-01-01 hand 7" in city.lines("noted.txt")
    assert "event" in city.refused("run", "nightly", "-p", "day=2026-01-01", "-p", "event={}")["what"]


def test_a_command_without_what_it_needs_names_its_own_help(city: Folder) -> None:
    assert city.refused("fire")["next"] == "trikk fire --help"
    assert city.refused("tigger")["next"] == "trikk --help"


def test_times_that_were_missed_are_shown_once_each_or_from_the_first_to_the_last(tmp_path: Path) -> None:
    folder, began = Folder(tmp_path), datetime(2026, 11, 1, tzinfo=UTC)
    folder.write(pipelines=CODE, trikk='timezone = "UTC"\n')
    with closing(Project.open(folder.root)) as project:
        triggers_by_name, graphs = declared_triggers(project)
        often = triggers_by_name["often"]
        adopt(project.journal, often, began)
        for hours in (13, 37):
            decide_due(project, often, graphs["nightly"], began + timedelta(hours=hours), at_most=10)
    told = folder.trikk("triggers", "often").out
    assert "often starts nightly: Every 6 h, counted" in told
    assert "missed 2026-11-01 06:00 UTC  " in told
    assert "missed 3 times, 2026-11-01 18:00 UTC to 2026-11-02 06:00 UTC" in told
