"""Backfills: how far each is, the run of each day, and pausing, resuming and cancelling."""

from __future__ import annotations

from trikk.console.page_view import Sheet, View
from trikk.server.http.doors import Doors
from trikk.server.http.handlers.backfill_handlers import list_backfills, show_backfill
from trikk.server.http.routes import Call


def show_backfills(doors: Doors, call: Call) -> View:
    """Show all backfills, the newest first, each with how far it is."""
    return View(
        "Backfills",
        "backfills/backfills.html.j2",
        list_backfills(doors, call).document,
        live="project",
        commands=[("List them:", "trikk backfills")],
    )


def show_one_backfill(doors: Doors, call: Call) -> View:
    """Show one backfill, and the run of each day."""
    document = show_backfill(doors, call).document
    columns = ("day", "pipeline", "state", "run")

    def sheet() -> Sheet:
        return Sheet(columns, [[day[name] for name in columns] for day in document["runs"]])

    return View(
        f"Backfill {document['id']}",
        "backfills/backfill.html.j2",
        document,
        sheets={"days": sheet},
        trail=[("Backfills", "/backfills")],
        live="project",
        commands=[
            ("Show it:", f"trikk backfills {document['id']}"),
            ("Pause it:", f"trikk backfills pause {document['id']}"),
            ("Resume it:", f"trikk backfills resume {document['id']}"),
            ("Cancel it:", f"trikk backfills cancel {document['id']}"),
        ],
    )
