"""Requests on what is watched: triggers, monitors, incidents, and what runs ask people."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any

from msgspec import Meta

from trikk.access.audit import recorded
from trikk.access.identity import Identity, IdentityKind, Role
from trikk.alerts.incidents.book import Book
from trikk.alerts.incidents.decision import Mute, mute_end
from trikk.core.errors import UnknownName, UsageError, WebhookRefused
from trikk.execution.approvals.decisions import decide
from trikk.monitoring.drilldown.drill import slice_named
from trikk.monitoring.drilldown.recent_windows import recent_windows
from trikk.monitoring.figures.monitor_summary import monitor_summary
from trikk.monitoring.figures.records import Records, names
from trikk.runs.living_servers import living, server_document
from trikk.server.http.documents.project_documents import ServersDocument, TimelinePage
from trikk.server.http.documents.run_documents import RunDocument
from trikk.server.http.documents.watch_documents import (
    HookDocument,
    IncidentDetailsDocument,
    IncidentDocument,
    IncidentsPage,
    MonitorsPage,
    TriggerDetailsDocument,
    TriggersDocument,
    WindowsDocument,
)
from trikk.server.http.doors import Doors
from trikk.server.http.paging import Cursor, Limit, PageQuery, names_page, page_of, wrong_cursor
from trikk.server.http.routes import API, Answer, Call, Given, Said, who
from trikk.server.schedule.trigger_actions import fire
from trikk.server.schedule.trigger_standing import set_paused
from trikk.server.schedule.trigger_view import trigger_details, trigger_rows
from trikk.server.sources.event_by_hand import NamedEvent, event_named
from trikk.server.sources.webhook_keys import webhook_keys
from trikk.server.sources.webhook_signature import verify
from trikk.tracking.run_document import run_document
from trikk.triggers.declared import trigger_named
from trikk.triggers.event_triggers import Webhook
from trikk.triggers.tick_by_hand import end_named, tick_named
from trikk.web.refused import Refused

_HAPPENING = re.compile(r"(-?[0-9.]{1,24}(?:e[+-]?[0-9]{1,3})?)_([0-9]{1,18})")  # its moment and number
_log = logging.getLogger("trikk.server")


class FireAs(Given, frozen=True, rename={"tick": "for"}):
    """For which moment or event a trigger is fired; the present if nothing is given."""

    tick: str | None = None  # "for" in JSON: a scheduled time, or a day that has one
    path: str = ""  # of a file that has arrived
    payload: Any = None  # of a message or a call
    key: str = ""  # of a message
    id: str = ""  # what the message or call is known by where it comes from
    run: str = ""  # that has ended
    by: str = ""


class PauseUntil(Said, frozen=True):
    """Why, and until when, a trigger is paused."""

    until: str | None = None  # a time, or the day at whose beginning it goes on by itself; ISO


class IncidentsQuery(PageQuery, frozen=True):
    """Which incidents are listed."""

    all: bool = False  # resolved ones, too


class MonitorQuery(Given, frozen=True):
    """Which windows of a monitor are shown."""

    kind: str | None = None  # hour, day, week or month; the monitor's first if not given
    last: Annotated[int, Meta(ge=1, le=1000)] = 14
    slice: Annotated[str, Meta(pattern="^[^=]+=")] | None = None  # column=value, of which the matrix is, too


class PeriodQuery(Given, frozen=True):
    """From when until before when, in seconds since 1970; all if not given."""

    since: float | None = None
    until: float | None = None
    limit: Limit = 1000
    cursor: Cursor | None = None


class Reason(Given, frozen=True):
    """Why something is done that others have to understand later."""

    why: Annotated[str, Meta(pattern=r"\S", description="The reason, in words.")]
    by: str = ""


class MuteUntil(Given, frozen=True):
    """Until when nobody is told of an incident, and why."""

    why: Annotated[str, Meta(pattern=r"\S", description="The reason, in words.")]
    until: Annotated[str, Meta(max_length=100)]  # a time, or a day at whose beginning it ends; ISO
    by: str = ""


class NewNote(Given, frozen=True):
    """What is to be written down about an incident."""

    text: Annotated[str, Meta(pattern=r"\S", max_length=4000)]
    by: str = ""


class Decided(Reason, frozen=True):
    """Why somebody approves or refuses."""

    step: str | None = None  # which step's question, if the run asks several things


def list_triggers(doors: Doors, _: Call) -> Answer[TriggersDocument]:
    """List triggers: when each comes due next, what it started last, whether it is paused."""
    site = doors.site
    rows = trigger_rows(site.project.journal, site.known_triggers().values(), site.clock.now())
    trouble = site.code.trouble and site.code.trouble.to_json()
    return Answer({"triggers": [row.to_json() for row in rows], "trouble": trouble})


def show_trigger(doors: Doors, call: Call) -> Answer[TriggerDetailsDocument]:
    """Show one trigger: in words, its next five times, and what became of the last ones."""
    site = doors.site
    declared = trigger_named(site.known_triggers(), call.path["trigger"])
    return Answer(trigger_details(site.project.journal, declared, site.clock.now()).to_json())


def fire_trigger(doors: Doors, call: Call) -> Answer[RunDocument]:
    """Start a trigger's run by hand, or find the one that its moment has."""
    site, body = doors.site, call.body
    declared, now = trigger_named(site.triggers(), call.path["trigger"]), site.clock.now()
    tick = None if body.tick is None else tick_named(declared, body.tick)
    graph = site.graphs()[declared.pipeline]
    moment = datetime.fromtimestamp(now, UTC)
    named = NamedEvent(path=body.path, payload=body.payload, key=body.key, id=body.id, run=body.run)
    event = event_named(site.project, declared, named, moment)
    fired = fire(site.project, declared, graph, tick=tick, event=event, by=who(call), now=moment)
    if not fired.repeated:
        site.wake("queue")
    document = run_document(site.project, fired.run, now)
    return Answer(document, 200 if fired.repeated else 201, {"location": f"{API}/runs/{fired.run}"})


def call_webhook(doors: Doors, call: Call) -> Answer[HookDocument]:
    """Take a signed call of a webhook: start the run that it calls for, or find it."""
    site, name = doors.site, call.path["hook"]
    known = site.triggers().values()
    hooks = {d.trigger.hook: (d, d.trigger) for d in known if isinstance(d.trigger, Webhook)}
    if name not in hooks:
        raise WebhookRefused(f"there is no webhook {name[:60]!r}")  # and not which ones there are
    (declared, webhook), now = hooks[name], site.clock.now()
    event = verify(call.headers, call.body, _keys(webhook, declared.where), now, hook=name)
    sender, trigger = Identity(name, IdentityKind.WEBHOOK, Role.OPERATOR), {"trigger": declared.name}
    with recorded(site.project.journal, sender, call.address, "call_webhook", trigger, site.clock) as change:
        fired = site.engine.deliver(declared.name, event, now)
        if fired.waits:  # nothing comes of it: whoever calls has to do so again
            raise Refused(
                503, f"webhook {name} takes nothing now: {fired.why}", next="call again later, with the same id"
            )
        change.made |= {"run": fired.run} if fired.run else {}
    is_new = bool(fired.run) and not fired.repeated
    return Answer({"run": fired.run or None, "why": fired.why}, 201 if is_new else 200)


def _keys(webhook: Webhook, where: str) -> Sequence[bytes]:
    """What calls may be signed with."""
    try:
        return webhook_keys(webhook, where)
    except UsageError as error:
        # Ours to mend, and not the caller's, who is to come again and is told nothing of this machine.
        _log.error("webhook %s takes no calls: %s", webhook.hook, error)
        next_step = "call again later, with the same id"
        raise Refused(503, f"webhook {webhook.hook} takes nothing now", next=next_step) from error


def pause_trigger(doors: Doors, call: Call) -> Answer[TriggerDetailsDocument]:
    """Let a trigger start nothing until it is unpaused, or the time that is given has come."""
    return _set_paused(doors, call, paused=True)


def unpause_trigger(doors: Doors, call: Call) -> Answer[TriggerDetailsDocument]:
    """Let a trigger start runs again; what came due meanwhile is not made up for, but for events that wait."""
    return _set_paused(doors, call, paused=False)


def _set_paused(doors: Doors, call: Call, *, paused: bool) -> Answer[TriggerDetailsDocument]:
    site = doors.site
    declared = trigger_named(site.known_triggers(), call.path["trigger"])
    now = datetime.fromtimestamp(site.clock.now(), UTC)
    named = getattr(call.body, "until", None)
    until = None if named is None else end_named(declared, named, now)
    ledger, why = site.project.journal, call.body.why
    set_paused(ledger, declared, paused=paused, by=who(call), why=why, now=now, until=until)
    site.wake_all()  # sources hold back what a paused trigger does not take
    return show_trigger(doors, call)


def list_monitors(doors: Doors, call: Call) -> Answer[MonitorsPage]:
    """List the monitors that have been evaluated, each with its newest labelled window."""
    ledger = doors.site.project.journal
    listed, cursor = names_page(names(ledger), call.query)
    return Answer({"monitors": [monitor_summary(ledger, name).to_json() for name in listed], "next": cursor})


def show_monitor(doors: Doors, call: Call) -> Answer[WindowsDocument]:
    """Show a monitor's last windows, as `trikk monitor NAME --json`: figures of all cases and of slices."""
    query: MonitorQuery = call.query
    project = doors.site.project
    spec = Records(project.journal, call.path["monitor"]).spec()
    chosen = slice_named(query.slice) if query.slice else None
    return Answer(recent_windows(project, spec, query.kind or spec.windows[0], query.last, chosen).to_json())


def list_incidents(doors: Doors, call: Call) -> Answer[IncidentsPage]:
    """List open incidents, or all."""
    query: IncidentsQuery = call.query
    listed = Book(doors.site.project.journal).each(after=query.cursor, open_only=not query.all)
    page, cursor = page_of(list(islice(listed, query.limit + 1)), query.limit, lambda incident: incident.id)
    return Answer({"incidents": [incident.to_json() for incident in page], "next": cursor})


def show_incident(doors: Doors, call: Call) -> Answer[IncidentDetailsDocument]:
    """Show one incident and everything that happened to it."""
    book = Book(doors.site.project.journal)
    shown = book.get(call.path["incident"])
    return Answer({**shown.to_json(), "timeline": book.entries(shown)})


def acknowledge_incident(doors: Doors, call: Call) -> Answer[IncidentDocument]:
    """Say that somebody knows of an incident."""
    book = Book(doors.site.project.journal)
    said: Said = call.body
    done = book.acknowledge(call.path["incident"], by=who(call), why=said.why, at=doors.site.clock.now())
    return Answer(done.to_json())


def mute_incident(doors: Doors, call: Call) -> Answer[IncidentDocument]:
    """Tell nobody of an incident, nor of one that its cause opens meanwhile, until a time."""
    body: MuteUntil = call.body
    project, now = doors.site.project, doors.site.clock.now()
    mute = Mute(until=mute_end(body.until, project.settings.timezone, now), by=who(call), why=body.why)
    return Answer(Book(project.journal).mute(call.path["incident"], mute, at=now).to_json())


def unmute_incident(doors: Doors, call: Call) -> Answer[IncidentDocument]:
    """Let people be told of an incident again."""
    book = Book(doors.site.project.journal)
    said: Said = call.body
    done = book.unmute(call.path["incident"], by=who(call), why=said.why, at=doors.site.clock.now())
    return Answer(done.to_json())


def note_incident(doors: Doors, call: Call) -> Answer[IncidentDocument]:
    """Write down what somebody has found out about an incident; the same words by the same person once."""
    book = Book(doors.site.project.journal)
    note: NewNote = call.body
    done = book.note(call.path["incident"], note.text, by=who(call), at=doors.site.clock.now())
    return Answer(done.to_json())


def approve(doors: Doors, call: Call) -> Answer[RunDocument]:
    """Approve what a run asks."""
    return _decide(doors, call, approved=True)


def refuse(doors: Doors, call: Call) -> Answer[RunDocument]:
    """Refuse what a run asks."""
    return _decide(doors, call, approved=False)


def _decide(doors: Doors, call: Call, *, approved: bool) -> Answer[RunDocument]:
    site, said = doors.site, call.body
    now, run = site.clock.now(), call.path["run"]
    journal = site.project.journal
    journal.row(run)
    try:
        decide(journal, run, said.step, approved=approved, by=who(call), why=said.why, now=now)
    except UnknownName as error:  # the run is there, and asks nothing of that name
        raise Refused(409, error.what, next=error.next) from error
    site.wake("queue")
    return Answer(run_document(site.project, run, now))


def resolve_incident(doors: Doors, call: Call) -> Answer[IncidentDocument]:
    """Resolve an incident by hand; it opens anew for newer bad points only."""
    book = Book(doors.site.project.journal)
    reason: Reason = call.body
    done = book.resolve(call.path["incident"], by=who(call), why=reason.why, at=doors.site.clock.now())
    return Answer(done.to_json())


def show_timeline(doors: Doors, call: Call) -> Answer[TimelinePage]:
    """Tell what happened to incidents, models and reports, and to what they started, in its order."""
    query: PeriodQuery = call.query
    after = None
    if query.cursor is not None:
        match = _HAPPENING.fullmatch(query.cursor)
        if match is None:
            raise wrong_cursor()
        after = float(match[1]), int(match[2])
    happened = doors.site.happenings.between(query.since, query.until, after=after, limit=query.limit + 1)
    return Answer(TimelinePage(*page_of(happened, query.limit, lambda one: f"{one.at!r}_{one.seq}")))


def list_servers(doors: Doors, _: Call) -> Answer[ServersDocument]:
    """List the project's servers: which are there, what is wrong with them, and whether they fire triggers."""
    site = doors.site
    known = site.project.journal.servers()
    there = {server.id for server in living(known, site.clock.now())}
    listed = [server_document(server, lives=server.id in there) for server in known]
    return Answer({"servers": listed})
