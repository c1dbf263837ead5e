"""Finding anything by a piece of its name or id."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated, TypedDict
from urllib.parse import quote

from msgspec import Meta

from trikk.alerts.incidents.book import Book
from trikk.console.page_view import View
from trikk.core.errors import TrikkError
from trikk.core.text import shorten
from trikk.models.registry import Registry
from trikk.monitoring.figures.records import Records
from trikk.monitoring.figures.records import names as monitor_names
from trikk.runs.journals.ledger import Ledger
from trikk.server.http.doors import Doors
from trikk.server.http.handlers.stream_handlers import list_streams
from trikk.server.http.routes import PATH_NAMES, Call, Given

_EACH, _ALL = 8, 40  # hits of one kind, and together
_INCIDENTS = 1_000  # of the newest, whose titles are looked at
_TITLE = 100


class SearchQuery(Given, frozen=True):
    """What is looked for."""

    q: Annotated[str, Meta(max_length=200)] = ""


class Hit(TypedDict):
    """Something that was found."""

    kind: str
    title: str
    address: str


def show_search(doors: Doors, call: Call) -> View:
    """Find anything by a piece of its name or id; runs by the beginning of theirs, predictions by all of it."""
    text = call.query.q.strip()
    hits = list(islice(_hits(doors, call, text), _ALL)) if text else []
    if not hits and re.search(PATH_NAMES["prediction"], text):
        hits = list(islice(_predictions(doors.site.project.journal, text), _EACH))
    return View(
        f"Find {shorten(text, 60)}" if text else "Find", "search/search.html.j2", {"q": text, "hits": hits}
    )


def _hits(doors: Doors, call: Call, text: str) -> Iterator[Hit]:
    """What fits: a whole name before a piece of one, kind by kind."""
    site, ledger = doors.site, doors.site.project.journal
    yield from (Hit(kind="run", title=run, address=f"/runs/{run}") for run in ledger.find(text)[:_EACH])
    graphs = site.code.current.graphs
    yield from _named("pipeline", graphs, text)
    yield from _named("trigger", site.known_triggers(), text)
    yield from _named("table", site.project.tables.names(), text)
    yield from _named("model", Registry(ledger).names(), text)
    yield from _named("monitor", monitor_names(ledger), text)
    yield from _named("stream", _streams(doors, call), text)
    yield from islice(_incidents(Book(ledger), text), _EACH)


def _named(kind: str, names: Iterable[str], text: str) -> Iterator[Hit]:
    wanted = text.casefold()
    fitting = [name for name in names if wanted in name.casefold()]
    fitting.sort(key=lambda name: (name.casefold() != wanted, name))
    for name in fitting[:_EACH]:
        yield Hit(kind=kind, title=name, address=f"/{kind}s/{quote(name, safe='')}")


def _streams(doors: Doors, call: Call) -> list[str]:
    try:
        return [stream["name"] for stream in list_streams(doors, call).document["streams"]]
    except TrikkError:  # their part of trikk.toml is wrong, which their page says
        return []


def _predictions(ledger: Ledger, text: str) -> Iterator[Hit]:
    """The tables that may have a prediction of that id: looking into them takes too long for each key pressed."""
    tables = set()
    for name in monitor_names(ledger):
        table = Records(ledger, name).spec().predictions
        if table not in tables:
            tables.add(table)
            title = f"Look for {shorten(text, _TITLE)} in {table}"
            address = f"/monitors/{quote(name, safe='')}/predictions/{quote(text, safe='')}"
            yield Hit(kind="prediction", title=title, address=address)


def _incidents(book: Book, text: str) -> Iterator[Hit]:
    wanted = text.casefold()
    for incident in islice(book.each(), _INCIDENTS):
        if wanted in incident.title.casefold() or wanted in incident.id.casefold():
            title = shorten(f"{incident.title} ({incident.state})", _TITLE)
            yield Hit(kind="incident", title=title, address=f"/incidents/{quote(incident.id)}")
