"""Backfills as one piece of work: listed, shown, paused, gone on with, shared, cancelled."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.execution.command import Folder, until

from trikk.execution.project import Project
from trikk.runs.journals.lease import Holder
from trikk.runs.journals.server_beats import Server

CODE = """
import time
from datetime import date
from pathlib import Path
from trikk import Table, approval, pipeline, step, when
import polars as pl

@step
def work(day: date) -> int:
    with open("log", "a") as file:
        file.write(f"begin {day}\\n")
    while Path("hold").exists() or Path(f"hold-{day}").exists():
        time.sleep(0.02)
    if Path(f"bad-{day}").exists():
        raise ValueError("a bad day")
    with open("log", "a") as file:
        file.write(f"end {day}\\n")
    return 1

@step
def same(before: pl.DataFrame, day: date) -> pl.DataFrame:
    return pl.DataFrame({"day": [day]})

@pipeline
def night(day: date):
    work(day)

@pipeline
def levels(day: date):
    Table("levels").append(same(Table("levels", optional=True), day))

@pipeline
def asking(day: date):
    with when(approval("go on?", after=work(day))):
        work.options(name="after")(day)
"""
FOUR = ["--from", "2020-03-01", "--to", "2020-03-04"]


@pytest.fixture
def nights(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    folder.write(trikk='name = "n"\n', pipelines=CODE)
    return folder


def only(folder: Folder) -> Any:
    (backfill,) = folder.good("backfills")["backfills"]
    assert datetime.fromisoformat(backfill["begun"]).tzinfo is UTC
    return backfill


def begun(folder: Folder) -> list[str]:
    return [line.removeprefix("begin ") for line in folder.lines("log") if line.startswith("begin")]


def test_a_backfill_is_listed_and_shown_with_its_progress_and_gone_on_with_after_a_failure(nights: Folder) -> None:
    nights.touch("bad-2020-03-03")
    assert nights.trikk("backfill", "night", *FOUR, "-q").code == 1
    backfill = only(nights)
    assert (backfill["state"], backfill["done"], backfill["failed"], backfill["left"]) == ("stopped", 2, 1, 1)
    assert "2 of 4 done, 1 failed, 1 left" in nights.trikk("backfills").out
    shown = nights.trikk("backfills", "last")
    assert f"next: trikk backfills resume {backfill['id']}" in shown.out
    (nights.root / "bad-2020-03-03").unlink()
    document = nights.good("backfills", "resume", backfill["id"][:6])
    assert [run["state"] for run in document["runs"]] == ["succeeded"] * 4
    assert begun(nights) == ["2020-03-01", "2020-03-02", "2020-03-03", "2020-03-03", "2020-03-04"]
    assert len(nights.good("runs")["runs"]) == 4  # the day that had failed went on with its run
    assert only(nights)["state"] == "succeeded"
    assert "has succeeded" in nights.refused("backfills", "resume", "last", code=1)["what"]


def test_a_pause_lets_the_day_end_and_a_cancel_ends_it(nights: Folder) -> None:
    nights.touch("hold-2020-03-02")
    process = nights.start("backfill", "night", *FOUR)
    until(lambda: "2020-03-02" in begun(nights))
    paused = nights.good("backfills", "pause", "last", "--why", "the source is wrong")
    assert (paused["state"], paused["going"], paused["why"]) == ("paused", 1, "the source is wrong")
    (nights.root / "hold-2020-03-02").unlink()
    assert nights.end(process).code == 1
    assert (only(nights)["state"], only(nights)["done"]) == ("paused", 2)
    nights.touch("hold-2020-03-03")
    process = nights.start("backfills", "resume", "last")
    until(lambda: "2020-03-03" in begun(nights))
    nights.good("backfills", "cancel", "last", "--why", "not needed")
    assert nights.end(process).code == 1
    assert (only(nights)["state"], only(nights)["done"], only(nights)["failed"]) == ("cancelled", 2, 1)
    assert begun(nights) == ["2020-03-01", "2020-03-02", "2020-03-03"]
    assert "was cancelled" in nights.refused("backfills", "resume", "last", code=1)["what"]


def test_days_at_once_are_as_many_as_were_asked_for(nights: Folder) -> None:
    nights.touch("hold")
    process = nights.start("backfill", "night", *FOUR, "--parallel", "2", "--json")
    until(lambda: len(begun(nights)) == 2)
    assert only(nights)["going"] == 2
    (nights.root / "hold").unlink()
    done = nights.end(process)
    assert done.code == 0, done
    assert [run["parameters"]["day"] for run in done.json["runs"]] == [f"2020-03-0{n}" for n in range(1, 5)]
    assert sorted(begun(nights)) == [f"2020-03-0{n}" for n in range(1, 5)]
    # The process that helps changes nothing of the backfill.
    assert [line["action"] for line in nights.good("audit")["lines"]] == ["begin_backfill"]


def test_a_parallel_backfill_that_has_stopped_goes_on_as_parallel_as_it_was(nights: Folder) -> None:
    for day in ("01", "02"):
        nights.touch(f"bad-2020-03-{day}")
    assert nights.trikk("backfill", "night", *FOUR, "-q", "--parallel", "2").code == 1
    assert only(nights)["failed"] in (1, 2)
    for day in ("01", "02"):
        (nights.root / f"bad-2020-03-{day}").unlink()
    already = len(begun(nights))
    nights.touch("hold")
    process = nights.start("backfills", "resume", "last")
    until(lambda: len(begun(nights)) == already + 2)  # both at once, though the others are held
    (nights.root / "hold").unlink()
    assert nights.end(process).code == 0
    assert (only(nights)["state"], only(nights)["done"]) == ("succeeded", 4)
    assert len(nights.good("runs")["runs"]) == 4


def test_days_that_hand_a_table_on_are_refused_at_once_unless_the_author_says_otherwise(nights: Folder) -> None:
    error = nights.refused("backfill", "levels", *FOUR, "--parallel", "2")
    assert "levels reads table levels" in error["what"]
    assert "--any-order" in error["next"]
    assert nights.good("backfills") == {"backfills": []}
    one = ["--from", "2020-03-01", "--to", "2020-03-01"]
    assert nights.good("backfill", "levels", *one, "--parallel", "2", "--any-order")["state"] == "succeeded"


def test_a_killed_backfill_goes_on_where_it_was_and_two_processes_share_one(nights: Folder) -> None:
    nights.touch("hold-2020-03-02")
    process = nights.start("backfill", "night", *FOUR)
    until(lambda: "2020-03-02" in begun(nights))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert (only(nights)["state"], only(nights)["going"]) == ("open", 1)
    (nights.root / "hold-2020-03-02").unlink()
    sharing = [nights.start("backfills", "resume", "last") for _ in range(2)]
    assert [nights.end(one).code for one in sharing] == [0, 0]
    assert only(nights)["state"] == "succeeded"
    assert len(nights.good("runs")["runs"]) == 4
    ends = [line for line in nights.lines("log") if line.startswith("end")]
    assert ends == [f"end 2020-03-0{n}" for n in range(1, 5)]


def test_a_backfill_may_be_left_to_servers_and_carried_out_here_all_the_same(nights: Folder) -> None:
    done = nights.trikk("backfill", "night", *FOUR, "--queue")
    assert done.code == 0
    assert "no server is there" in done.err
    assert (begun(nights), only(nights)["left"]) == ([], 4)
    assert "can't be combined" in nights.refused("backfill", "night", *FOUR, "--queue", "--watch")["what"]
    assert "next: trikk backfills resume" in nights.trikk("backfills", "last").out
    project, now = Project.open(nights.root), time.time()
    try:
        project.journal.beat(Server(id="s1", holder=Holder.current(), release="abc", since=now, at=now))
        assert "servers carry it out" in nights.trikk("backfills", "last").out
        project.journal.leave("s1", at=time.time())
    finally:
        project.close()
    assert nights.good("backfills", "resume", "last")["state"] == "succeeded"


def test_a_day_that_waits_for_people_holds_the_others_back(nights: Folder) -> None:
    two = ["--from", "2020-03-01", "--to", "2020-03-02"]
    done = nights.trikk("backfill", "asking", *two)
    assert done.code == 3
    assert "trikk approve" in done.out
    again = nights.trikk("backfill", "asking", *two, "--missing")
    assert again.code == 1
    assert "waits for a decision" in again.err
    run = nights.good("approvals")["approvals"][0]["run"]
    nights.good("approve", run, "--why", "good")
    first = nights.good("backfills")["backfills"][-1]["id"]
    assert nights.trikk("backfills", "resume", first).code == 3  # the second day asks as well
    assert [day for day in begun(nights) if day == "2020-03-02"] == ["2020-03-02"]
