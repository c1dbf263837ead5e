"""Backfills that are left to servers."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.execution.command import Folder, until
from tests.execution.test_backfill_state import DAYS, backfill, load
from tests.server.served import ServedProject

from trikk.execution.backfills.backfill_ledger import begin, change, find, states_of
from trikk.execution.backfills.backfill_state import Change, progress
from trikk.execution.project import Project
from trikk.server.queue.backfill_queue import BackfillQueue


class Site:
    """What the part asks of a server."""

    def __init__(self, root: Path) -> None:
        (root / "trikk.toml").write_text('name = "p"\n')
        self.project = Project.open(root)
        self.draining = threading.Event()
        self.presence = SimpleNamespace(standing=SimpleNamespace(may_fire=True))
        self.declared: dict[str, Any] = {"load": load.graph}
        self.woken: list[str] = []

    def graphs(self) -> dict[str, Any]:
        return self.declared

    def wake(self, part: str) -> None:
        self.woken.append(part)


def declared(site: Site, **more: Any) -> str:
    declaration = backfill(pipelines=("load",), **more).declaration
    return begin(site.project.journal, declaration, 1.0).id


def days(site: Site) -> list[Any]:
    return sorted(row.parameters["day"] for row in site.project.journal.runs(limit=None))


def end(site: Site, kind: str) -> None:
    for row in site.project.journal.runs(state="queued", limit=None):
        site.project.journal.append(row.id, kind, {}, at=2.0)


def test_two_servers_begin_each_day_once_and_stop_at_a_failure_and_a_pause(tmp_path: Path) -> None:
    site: Any = Site(tmp_path)
    one, two = BackfillQueue(site), BackfillQueue(site)
    left = declared(site, queued=True)
    declared(site)  # for whoever has begun it
    for part in (one, two, one):
        part.turn(2.0)
    assert days(site) == [DAYS[0]]
    assert site.woken == ["queue"]
    end(site, "run.succeeded")
    change(site.project.journal, find(site.project.journal, left), Change.PAUSED, by="anna", why="", now=2.0)
    one.turn(3.0)
    assert days(site) == [DAYS[0]]
    change(site.project.journal, find(site.project.journal, left), Change.RESUMED, by="anna", why="", now=3.0)
    one.turn(4.0)
    assert days(site) == [*DAYS[:2]]
    end(site, "run.failed")
    two.turn(5.0)
    assert days(site) == [*DAYS[:2]]
    site.project.close()


def test_a_server_that_may_not_begin_or_lacks_the_pipeline_begins_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site: Any = Site(tmp_path)
    part = BackfillQueue(site)
    declared(site, queued=True, parallel=5)
    site.presence.standing.may_fire = False
    part.turn(2.0)
    site.presence.standing.may_fire = True
    site.declared = {}
    part.turn(3.0)
    part.turn(4.0)
    assert days(site) == []
    assert [record.message.count("load") for record in caplog.records] == [1]  # once, until it is another problem
    site.declared = {"load": load.graph}
    part.turn(5.0)
    assert days(site) == [*DAYS]
    end(site, "run.succeeded")
    part.turn(6.0)
    assert part.turn(7.0) == 5.0  # nothing is left to look after
    site.project.close()


NIGHTS = """
import time
from datetime import date
from pathlib import Path
from trikk import Resources, pipeline, step

@step(resources=Resources(cpus=0))
def work(day: date) -> int:
    with open("log", "a") as file:
        file.write(f"{day}\\n")
    while Path("hold").exists():
        time.sleep(0.02)
    if Path(f"bad-{day}").exists():
        raise ValueError(f"{day} is bad")
    return 1

@pipeline
def night(day: date):
    work(day)
"""


def test_servers_leave_out_what_is_done_try_again_what_has_failed_and_end_what_is_cancelled(
    tmp_path: Path,
) -> None:
    place = ServedProject(tmp_path / "nights", NIGHTS)
    folder, journal = Folder(place.root), place.project.journal

    def reached(state: str, going: int = 0) -> bool:
        backfill = find(journal, "last")
        now = progress(backfill, states_of(journal, backfill))
        return (now.state, now.going) == (state, going)

    period = ["night", "--from", "2020-03-01", "--to"]
    (place.root / "bad-2020-03-03").touch()
    assert folder.good("run", "night", "-p", "day=2020-03-02")["state"] == "succeeded"
    with place.server():
        folder.good("backfill", *period, "2020-03-04", "--queue", "--missing", "--parallel", "2")
        until(lambda: reached("stopped"))
        stopped = folder.good("backfills", "last")
        assert [(run["day"][-2:], run["state"]) for run in stopped["runs"]][:3] == [
            ("01", "succeeded"),
            ("02", "left out"),
            ("03", "failed"),
        ]
        (place.root / "bad-2020-03-03").unlink()
        assert folder.good("backfills", "resume", "last")["state"] in ("open", "stopped")  # the server does it
        until(lambda: reached("succeeded"))
        resumed = folder.good("backfills", "last")
        assert [run["run"] for run in resumed["runs"][:3]] == [run["run"] for run in stopped["runs"][:3]]
        assert sorted(folder.lines("log")) == [f"2020-03-0{n}" for n in (1, 2, 3, 3, 4)]
        (place.root / "hold").touch()
        folder.good("backfill", *period, "2020-03-09", "--queue", "--parallel", "2")
        until(lambda: len(folder.lines("log")) == 7)
        folder.good("backfills", "cancel", "last", "--why", "not needed")
        until(lambda: reached("cancelled"))
        cancelled = folder.good("backfills", "last")
        assert (cancelled["state"], cancelled["left"]) == ("cancelled", 7)
        assert {run["state"] for run in cancelled["runs"]} == {"cancelled"}
    assert len(folder.lines("log")) == 7


def test_what_waits_in_the_queue_is_cancelled_with_its_backfill_though_no_server_is_there(tmp_path: Path) -> None:
    site: Any = Site(tmp_path)
    left = declared(site, queued=True, parallel=2)
    BackfillQueue(site).turn(2.0)
    change(site.project.journal, find(site.project.journal, left), Change.CANCELLED, by="anna", why="", now=2.0)
    assert {row.state for row in site.project.journal.runs(limit=None)} == {"cancelled"}
    site.project.close()


def test_a_backfill_of_which_days_have_failed_goes_on_when_somebody_says_so(tmp_path: Path) -> None:
    site: Any = Site(tmp_path)
    part = BackfillQueue(site)
    left = declared(site, queued=True, keep_going=True, parallel=5)
    part.turn(2.0)
    end(site, "run.failed")
    for _ in range(2):
        assert part.turn(3.0) == 5.0  # it is looked at seldom
    change(site.project.journal, find(site.project.journal, left), Change.RESUMED, by="anna", why="", now=4.0)
    assert part.turn(5.0) == 0.25
    assert {row.state for row in site.project.journal.runs(limit=None)} == {"queued"}
    for row in site.project.journal.runs(limit=None):
        site.project.journal.append(row.id, "run.failed", {}, at=6.0)
    part.turn(7.0)
    assert {row.state for row in site.project.journal.runs(limit=None)} == {"failed"}, "once more, and no more"
    site.project.close()
