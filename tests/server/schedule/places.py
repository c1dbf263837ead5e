"""What tests of the engine share: a project that is only a journal, and pipelines that are only a graph."""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

from msgspec.structs import replace

from trikk import pipeline, step
from trikk.runs.journals.journal import Journal, RunRow
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.runs.run_state import RunState
from trikk.server.schedule.engine import Engine
from trikk.server.schedule.trigger_actions import Fired, fire
from trikk.triggers import Event
from trikk.triggers.declaration import Trigger
from trikk.triggers.declared import Declared

START = datetime(2026, 3, 1, tzinfo=UTC)


@step
def load(day: date, event: Event | None) -> int:
    return 1


@pipeline
def nightly(day: date, event: Event | None = None):
    load(day, event)


GRAPHS = {"nightly": nightly.graph}


def project_of(journal: Journal | None = None) -> Any:
    """A project with that journal; one in memory if none is given."""
    kept = journal or MemoryJournal()
    settings = SimpleNamespace(environment="main")
    return SimpleNamespace(
        journal=kept,
        settings=settings,
        run=lambda run: RunState.fold(run, kept.events(run)),
        is_at_engine=lambda state: False,
    )


def declared(**triggers: Trigger) -> dict[str, Declared]:
    """Triggers of the pipeline by their names."""
    return {
        name: Declared("nightly", replace(trigger, name=name), "pipelines.py:1")  # type: ignore[arg-type]
        for name, trigger in triggers.items()
    }


def engine_of(project: Any, at: datetime, **triggers: Trigger) -> Engine:
    """An engine that has taken these triggers in."""
    engine = Engine(project)
    engine.adopt(declared(**triggers), GRAPHS, at.timestamp())
    return engine


def by_hand(project: Any, engine: Engine, at: datetime, tick: datetime | None, trigger: str = "t") -> Fired:
    """What becomes of a trigger that somebody fires by hand."""
    return fire(project, engine.declared[trigger], GRAPHS["nightly"], tick=tick, by="ann", now=at)


def ticks_of(project: Any, trigger: str = "t") -> list[str]:
    """The ticks of a trigger's runs, in the order in which the runs were queued."""
    return [str(row.origin["tick"]) for row in rows_of(project, trigger)]


def rows_of(project: Any, trigger: str = "t") -> list[RunRow]:
    """A trigger's runs, in the order in which they were queued."""
    rows = project.journal.runs(limit=None)
    return [row for row in reversed(rows) if row.origin.get("trigger") == trigger]


def kinds_of(project: Any, trigger: str = "t") -> list[str]:
    """The kinds of a trigger's entries, in order."""
    return [entry.kind for entry in project.journal.entries(f"trigger/{trigger}")]
