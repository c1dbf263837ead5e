"""A page's addresses: one function says what it shows, a template how.

That function answers three addresses: `/runs/ID` in HTML, `/runs/ID.json` with the documents that it was made
from, and `/runs/ID.steps.csv` with one of its tables. So nothing can be seen that can't be taken along.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

from starlette.responses import Response

from trikk.access.identity import Role
from trikk.console.csv_sheet import csv_text
from trikk.console.page_view import View
from trikk.console.rendering import html_response
from trikk.server.http.doors import LONGEST, Doors
from trikk.server.http.routes import HTML_TYPE, Answer, Call, Given, Nothing, Route
from trikk.web.refused import Refused

CSV_TYPE = "text/csv"


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the console.

    Attributes:
        path: its address, with names in braces.
        show: says what it shows.
        query: what may follow the question mark.
        role: what whoever looks must at least be; viewer if not given.
        longest: seconds that it may take.
    """

    path: str
    show: Callable[[Doors, Call], View]
    query: type[Given] = Nothing
    role: Role | None = None
    longest: float = LONGEST

    def routes(self) -> list[Route]:
        """Its addresses; those with an ending come first, since a name in a path may hold a dot for the router."""
        stem = self.path if self.path != "/" else "/overview"
        # Problems of documents are documents: whoever asks for JSON reads JSON.
        route = partial(Route, "GET", query=self.query, role=self.role, longest=self.longest)
        return [
            route(f"{stem}.json", self._named(_document)),
            route(f"{stem}.{{sheet}}.csv", self._named(_csv), content=CSV_TYPE),
            route(self.path, self._named(_html), content=HTML_TYPE, is_page=True),
        ]

    def _named(self, answer: Callable[[View, Doors, Call], Any]) -> Callable[[Doors, Call], Any]:
        @wraps(self.show)
        def handler(doors: Doors, call: Call) -> Any:
            return answer(self.show(doors, call), doors, call)

        return handler


def _html(view: View, doors: Doors, call: Call) -> Response:
    return html_response(view, doors, call)


def _document(view: View, _: Doors, __: Call) -> Answer[Any]:
    return Answer(view.document)


def _csv(view: View, _: Doors, call: Call) -> Response:
    name = call.path["sheet"]
    if name not in view.sheets:
        raise Refused(404, f"this page has no table {name}", next=f"it has {', '.join(view.sheets) or 'none'}")
    sheet = view.sheets[name]()
    headers = {
        "cache-control": "no-store",
        "content-disposition": f'attachment; filename="{name}.csv"',
        "x-content-type-options": "nosniff",
    }
    return Response(csv_text(sheet.columns, sheet.rows), media_type=CSV_TYPE, headers=headers)
