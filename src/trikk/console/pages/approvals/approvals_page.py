"""What runs ask, and nobody has decided yet."""

from __future__ import annotations

from trikk.console.page_view import View
from trikk.server.http.doors import Doors
from trikk.server.http.handlers.run_detail_handlers import list_approvals
from trikk.server.http.routes import Call


def show_approvals(doors: Doors, call: Call) -> View:
    """Show what waits for a decision, and take it."""
    return View(
        "Approvals",
        "approvals/approvals.html.j2",
        list_approvals(doors, call).document,
        live="project",
        commands=[("List what waits:", "trikk approvals")],
    )
