"""The first page: is everything all right?"""

from __future__ import annotations

from trikk.console.page_view import View
from trikk.server.http.doors import Doors
from trikk.server.http.routes import Call


def show_overview(doors: Doors, call: Call) -> View:
    """Show how the project is doing."""
    del call
    rows = doors.site.project.journal.runs(limit=20)
    return View("Overview", "overview/overview.html.j2", {"runs": rows}, live="project")
