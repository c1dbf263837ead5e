"""Incidents: the open ones first, and of one everything that happened, whom it told and what it started."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from msgspec import Meta

from trikk.alerts.incidents.book import Book
from trikk.alerts.incidents.entry_words import entry_in_words, is_of_way
from trikk.alerts.incidents.incident import Incident
from trikk.alerts.rules.figures import FigureRule
from trikk.alerts.rules.kinds import read_rule
from trikk.alerts.rules.rule import Severity
from trikk.console.page_view import Sheet, View
from trikk.core.zones import local_text
from trikk.server.http.doors import Doors
from trikk.server.http.handlers.watch_handlers import show_incident
from trikk.server.http.paging import Cursor, page_of
from trikk.server.http.routes import Call, Given

_RESOLVED = 30  # on a page
_MOST_OPEN = 200
_MOST_READ = 1000  # resolved ones that are looked at for a page: each is a query
_MUTED_FOR = 5 * 3600.0
_COLUMNS = ("id", "severity", "state", "subject", "title", "since", "opened", "acknowledged", "resolved")
_WORST_FIRST = list(Severity)


class IncidentListQuery(Given, frozen=True):
    """Which incidents are shown."""

    severity: Literal["", "alarm", "warning", "info"] = ""
    subject: Annotated[str, Meta(max_length=200)] = ""  # the monitor, pipeline, table or trigger
    text: Annotated[str, Meta(max_length=200)] = ""  # a piece of the id or the title
    cursor: Cursor | None = None  # the resolved incident that the page before ended with


def show_incidents(doors: Doors, call: Call) -> View:
    """Show the incidents that are open, the worst first, and then the resolved ones, the newest first."""
    query: IncidentListQuery = call.query
    now = doors.site.clock.now()
    book = Book(doors.site.project.journal)
    wanted = _wanted(query, book.each(open_only=True))
    ordered = sorted(wanted, key=lambda one: (_WORST_FIRST.index(one.severity), one.since))
    resolved = (one for one in islice(book.newest(before=query.cursor), _MOST_READ) if not one.is_open)
    page, cursor = page_of(
        list(islice(_wanted(query, resolved), _RESOLVED + 1)), _RESOLVED, lambda incident: incident.id
    )
    document = {
        "open": [one.to_json() for one in ordered[:_MOST_OPEN]],
        "open_count": len(ordered),
        "resolved": [one.to_json() for one in page],
        "next": cursor,
    }

    def sheet() -> Sheet:
        everything = [one.to_json() for one in _wanted(query, Book(doors.site.project.journal).newest())]
        return Sheet(_COLUMNS, [[one[name] for name in _COLUMNS] for one in everything])

    return View(
        "Incidents",
        "incidents/incidents.html.j2",
        document,
        {"severities": [str(severity) for severity in Severity], "is_muted": partial(_is_muted, now=now)},
        sheets={"incidents": sheet},
        live="project",
        commands=[("List open ones:", "trikk incidents"), ("List all:", "trikk incidents --all")],
    )


def _wanted(query: IncidentListQuery, incidents: Iterable[Incident]) -> Iterator[Incident]:
    text = query.text.casefold()
    for one in incidents:
        if query.severity and one.severity != query.severity:
            continue
        if query.subject and one.subject != query.subject:
            continue
        if text and text not in f"{one.id} {one.title}".casefold():
            continue
        yield one


def show_one_incident(doors: Doors, call: Call) -> View:
    """Show one incident: its cause, what happened to it, whom it told, and what it started."""
    document: Any = show_incident(doors, call).document
    name, zone, now = document["id"], doors.site.project.settings.timezone, doors.site.clock.now()
    in_words = partial(entry_in_words, moment=partial(local_text, zone=zone))
    timeline = [  # in words, as the command has it; the document has the entries
        {"at": entry["at"], "words": in_words(entry), "of_way": is_of_way(entry), "run": entry.get("run")}
        for entry in document["timeline"]
    ]
    command = shlex.quote(name)

    def sheet() -> Sheet:
        return Sheet(("at", "what"), [(entry["at"], entry["words"]) for entry in timeline])

    return View(
        name,
        "incidents/incident.html.j2",
        document,
        {
            "timeline": timeline,
            "is_muted": _is_muted(document, now),
            "mute_until": _mute_until(now, zone),
            "address": f"/incidents/{quote(name)}",
            "command_id": command,
            "subject_address": _subject_address(document),
            "cases_address": _cases_address(document),
        },
        sheets={"timeline": sheet},
        trail=[("Incidents", "/incidents")],
        live="project",
        commands=[("Show it:", f"trikk incidents {command}")],
    )


def _is_muted(incident: Mapping[str, Any], now: float) -> bool:
    return incident["mute"] is not None and now < incident["mute"]["until"]


def _mute_until(now: float, zone: str) -> str:
    """What the form proposes: a full hour, some hours ahead, by the project's clock."""
    ahead = datetime.fromtimestamp(now + _MUTED_FOR, ZoneInfo(zone))
    return f"{ahead:%Y-%m-%dT%H}:00"


def _subject_address(incident: Mapping[str, Any]) -> str:
    """The page of what it is about; "" if there is none."""
    places = {"monitor": "/monitors/", "pipeline": "/pipelines/", "table": "/tables/", "trigger": "/triggers/"}
    place = places.get(read_rule(incident["rule"]).about, "")
    return place + quote(incident["subject"], safe="") if place and incident["subject"] else ""


def _cases_address(incident: Mapping[str, Any]) -> str:
    """The page of the cases behind the figures that were bad last; "" if it is not about figures."""
    rule, point = read_rule(incident["rule"]), incident["point"]
    if not isinstance(rule, FigureRule) or point is None:
        return ""
    wanted = {"window": point["mark"]} | ({"kind": rule.window} if rule.window else {})
    wanted |= {"slice": "=".join(incident["part"])} if incident["part"] else {}
    return f"/monitors/{quote(incident['subject'], safe='')}/cases?{urlencode(wanted)}"
