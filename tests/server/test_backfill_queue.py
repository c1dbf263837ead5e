"""Backfills that are left to servers."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.execution.test_backfill_state import DAYS, backfill, load

from trikk.execution.backfills.backfill_ledger import begin, change, find
from trikk.execution.backfills.backfill_state import Change
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
