"""Triggers: when each comes due, what became of its ticks, and stopping or firing it by hand."""

from __future__ import annotations

from trikk.console.page_view import Sheet, View
from trikk.server.http.doors import Doors
from trikk.server.http.handlers.watch_handlers import list_triggers, show_trigger
from trikk.server.http.routes import Call

_COLUMNS = ("name", "pipeline", "kind", "next", "last", "paused", "paused_until", "trouble")


def show_triggers(doors: Doors, call: Call) -> View:
    """Show all triggers: when each comes due next, and what it started last."""
    document = list_triggers(doors, call).document
    triggers = document["triggers"]

    def sheet() -> Sheet:
        return Sheet(_COLUMNS, [[trigger.get(name) for name in _COLUMNS] for trigger in triggers])

    return View(
        "Triggers",
        "triggers/triggers.html.j2",
        document,
        sheets={"triggers": sheet},
        live="project",
        commands=[("List triggers:", "trikk triggers")],
    )


def show_one_trigger(doors: Doors, call: Call) -> View:
    """Show one trigger: its next times, what became of its last ones, and how to stop or fire it."""
    document = show_trigger(doors, call).document
    name = document["name"]
    columns = ("at", "kind", "tick", "run", "state", "why", "by")

    def sheet() -> Sheet:
        return Sheet(columns, [[entry.get(column) for column in columns] for entry in document["happened"]])

    return View(
        name,
        "triggers/trigger.html.j2",
        document,
        sheets={"ticks": sheet},
        trail=[("Triggers", "/triggers")],
        live="project",
        commands=[
            ("Show it:", f"trikk triggers {name}"),
            ("Fire it:", f"trikk fire {name}"),
            ("Pause it:", f"trikk triggers pause {name}"),
        ],
    )
