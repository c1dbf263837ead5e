"""`trikk triggers` and `trikk fire`: what starts runs by itself, and the same by hand."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from trikk.cli.audited import audited
from trikk.cli.printing import (
    echo,
    json_option,
    print_json,
    state_text,
    style,
    table,
    tick_shown,
    user_name,
)
from trikk.cli.run_commands.execute import finish
from trikk.cli.run_commands.progress import Progress
from trikk.cli.server_option import or_by_server, trikk
from trikk.cli.verb_words import by_word, split_words
from trikk.core.errors import ParameterError, TrikkError
from trikk.core.text import counted
from trikk.core.zones import zone_of
from trikk.execution.project import Project
from trikk.execution.run_options import How
from trikk.runs.states import OVER, RunStatus
from trikk.server.declaration_check import declared_triggers
from trikk.tracking.mlflow.background_mirror import mirroring
from trikk.triggers.declared import trigger_named
from trikk.triggers.trigger_state import TriggerEntry, tick_text

if TYPE_CHECKING:
    from trikk.client.rest_client import Client
    from trikk.runs.journals.server_beats import Server
    from trikk.server.schedule.trigger_actions import Fired
    from trikk.server.schedule.trigger_view import TriggerDetails, TriggerRow
    from trikk.triggers.declared import Declared

_ACTIONS = ("pause", "unpause")
_VERBS: dict[str, str] = {TriggerEntry.ADOPTED: "begins", TriggerEntry.RETIRED: "is no longer declared"}


def _triggers_by_server(
    client: Client, words: tuple[str, ...], until: str | None, why: str, by: str, as_json: bool
) -> None:
    from trikk.server.schedule.trigger_view import TriggerDetails, TriggerRow

    client.by = by or client.by
    action, name = _words(words, until)
    if not name:
        known = client.triggers()
        rows = [TriggerRow.read({**row}) for row in known["triggers"]]
        if as_json:
            print_json([row.to_json() for row in rows])
            return
        if known["trouble"]:
            echo(style("the project's code does not load", fg="red"), f": {known['trouble']['what']}", err=True)
        _print_rows(rows)
        return
    if action:
        document = client.pause(name, why, until) if action == "pause" else client.unpause(name, why)
    else:
        document = client.trigger(name)
    details = TriggerDetails.read({**document, "row": document})
    _print_trigger(details, action, str(details.declaration.get("timezone", "UTC")), as_json=as_json)


def _fire_by_server(
    client: Client,
    name: str,
    moment: str | None,
    payload: str | None,
    identity: str,
    by: str,
    as_json: bool,
    **of: str,
) -> int:
    client.by = by or client.by
    event = {key: value for key, value in (*of.items(), ("id", identity)) if value}
    fired = client.fire(name, moment, payload=_payload(payload), **event)
    if as_json:
        print_json(fired)
    else:
        verb = "is queued; the server starts it" if fired["state"] == RunStatus.QUEUED else f"is {fired['state']}"
        echo(f"run {fired['id']} of {fired['pipeline']} {verb}: {trikk()} show {fired['id']}")
    return 1 if fired["state"] in (RunStatus.FAILED, RunStatus.CANCELLED) else 0


def _words(words: tuple[str, ...], until: str | None) -> tuple[str, str]:
    action, name = split_words(words, _ACTIONS, "trigger")
    if until is not None and action != "pause":
        raise click.UsageError("--until says when a pause ends: trikk triggers pause NAME --until TIME")
    return action, name


@click.command()
@click.argument("words", nargs=-1, metavar="[pause|unpause] [NAME]")
@click.option("--until", metavar="TIME", help="When a pause ends by itself: a time, or the beginning of a day.")
@click.option("--why", default="", help="The reason, for pause and unpause.")
@click.option("--by", default="", help="Who does it; the user's name by default.")
@json_option
@or_by_server(_triggers_by_server)
@audited(by_word("trigger", *_ACTIONS), "words", "why")
def triggers(words: tuple[str, ...], until: str | None, why: str, by: str, as_json: bool) -> None:
    """List triggers, show one, or stop it for a while (`pause NAME`, `unpause NAME`).

    What comes due while a trigger is paused is not made up for, but for events that wait: files, messages, tables.
    """
    from trikk.server.schedule.trigger_view import trigger_details, trigger_rows

    project = Project.open()
    action, name = _words(words, until)
    declared = _known(project, name)
    now = time.time()
    if not name:
        rows = trigger_rows(project.journal, declared.values(), now)
        if as_json:
            print_json([row.to_json() for row in rows])
        else:
            _print_rows(rows)
            if rows:
                _tell_whose(project, now)
        return
    trigger = trigger_named(declared, name)
    if action:
        _pause(project, trigger, paused=action == "pause", by=by or user_name(), why=why, until=until)
    details = trigger_details(project.journal, trigger, now)
    _print_trigger(details, action, trigger.trigger.timezone, as_json=as_json)
    if not (as_json or action):
        _tell_whose(project, now)


def _print_trigger(details: TriggerDetails, action: str, zone: str, *, as_json: bool) -> None:
    if as_json:
        print_json(details.to_json())
    elif action:
        echo(f"trigger {details.row.name} is {_until(details.row, zone) if action == 'pause' else 'not paused'}")
    else:
        _show(details)


@click.command()
@click.argument("name")
@click.option(
    "--for",
    "moment",
    metavar="TIME",
    help="The scheduled time that the run is for, or a day that has one of them.",
)
@click.option("--path", default="", help="The file that the run is for, of a trigger that waits for files.")
@click.option("--payload", metavar="JSON", help="What the message or call holds; a text if it is not JSON.")
@click.option("--key", default="", help="The message's key.")
@click.option("--id", "identity", default="", help="What the message or call is known by where it comes from.")
@click.option("--run", default="", metavar="ID", help="The run that has ended, of a trigger that waits for that.")
@click.option("--by", default="", help="Who does it; the user's name by default.")
@json_option
@or_by_server(_fire_by_server)
@audited("fire_trigger", "name")
def fire(
    name: str, moment: str | None, payload: str | None, identity: str, by: str, as_json: bool, **of: str
) -> int:
    """Start the run of trigger NAME by hand, as if it had come due, be it paused or not.

    With --for, the run is that of a scheduled time: if that has a run already, it is shown, and no other is
    started; and when the time comes, none is started either. Without it, the run is for this moment.

    With --path or --run, it is that of a file or of a run's end, and with --id that of a message or call: it is
    started once, be it by hand or by whoever notices it.

    If a server is there, it starts the run; otherwise it is run here, to its end, as `trikk run` does. Exit code 1
    if the run has failed.
    """
    from trikk.server.schedule import trigger_actions as actions
    from trikk.server.sources.event_by_hand import NamedEvent, event_named
    from trikk.triggers.clock_triggers import ClockTrigger
    from trikk.triggers.tick_by_hand import tick_named

    project = Project.open()
    triggers_by_name, graphs = declared_triggers(project)
    declared = trigger_named(triggers_by_name, name)
    tick = None if moment is None else tick_named(declared, moment)
    if tick and isinstance(declared.trigger, ClockTrigger) and not declared.trigger.comes_due_at(tick):
        at = _local(tick_text(tick), declared.trigger.timezone)
        echo(f"note: {name} does not come due at {at}; this run takes no scheduled time's place", err=True)
    now = datetime.now(UTC)
    named = NamedEvent(**of, payload=_payload(payload), id=identity)
    event = event_named(project, declared, named, now)
    graph = graphs[declared.pipeline]
    fired = actions.fire(project, declared, graph, tick=tick, event=event, by=by or user_name(), now=now)
    row = project.journal.row(fired.run)
    if row.state == RunStatus.QUEUED and not _servers(project, now.timestamp()):
        if earlier := _waits_for(project, declared, fired.run):
            if not as_json:
                echo(
                    f"run {fired.run} waits for run {earlier} of the same trigger; then: trikk resume {fired.run}"
                )
            return _told(project, fired, as_json=as_json, quiet=True)
        return _run_here(project, fired, as_json=as_json)
    return _told(project, fired, as_json=as_json)


def _known(project: Project, name: str = "") -> dict[str, Declared]:
    """The triggers that the code declares; if it does not load those that servers go by, if that named is one."""
    from trikk.server.schedule.trigger_standing import taken_in

    try:
        return declared_triggers(project)[0]
    except TrikkError as error:
        known = taken_in(project.journal)
        if not known or (name and name not in known):
            raise
        where = f" ({error.where})" if error.where else ""
        echo(style("the project's code does not load", fg="red"), f": {error.what}{where}; {error.next}", err=True)
        echo("these are the triggers as servers last took them in, which go by them until it loads", err=True)
        return known


def _print_rows(rows: Sequence[TriggerRow]) -> None:
    """Triggers, each by its own clock."""
    lines = [[r.name, r.pipeline, r.kind, _next(r), _local(r.last, r.timezone)] for r in rows]
    if lines:
        table(["TRIGGER", "PIPELINE", "KIND", "NEXT", "LAST"], lines)
    else:
        echo('no triggers yet: declare one, @pipeline(triggers=[Cron("0 4 * * *")])')


def _payload(text: str | None) -> Any:
    from trikk.server.sources.payloads import Unreadable, read_payload

    try:
        return None if text is None else read_payload(os.fsencode(text))
    except Unreadable as error:
        raise ParameterError(f"--payload can't be taken: {error}", next="give JSON, or a text") from None


def _pause(project: Project, declared: Declared, *, paused: bool, by: str, why: str, until: str | None) -> None:
    from trikk.server.schedule.trigger_standing import set_paused
    from trikk.triggers.tick_by_hand import end_named

    now = datetime.now(UTC)
    end = None if until is None else end_named(declared, until, now)
    set_paused(project.journal, declared, paused=paused, by=by, why=why, now=now, until=end)


def _servers(project: Project, now: float) -> list[Server]:
    from trikk.runs.living_servers import living

    return living(project.journal.servers(), now)


def _waits_for(project: Project, declared: Declared, run: str) -> str:
    """An earlier run of the trigger that is not over, if it has to wait for that; "" otherwise."""
    from trikk.triggers import Overlap

    if declared.trigger.overlap is Overlap.ALLOW:
        return ""
    unfinished = [
        row
        for state in RunStatus
        if state not in OVER
        for row in project.journal.runs(pipeline=declared.pipeline, state=state, limit=None)
        if row.origin.get("trigger") == declared.name
    ]
    created = next((row.created for row in unfinished if row.id == run), 0.0)
    return next((row.id for row in unfinished if row.created < created), "")


def _run_here(project: Project, fired: Fired, *, as_json: bool) -> int:
    from trikk.execution.resume import resume

    with mirroring(project), Progress(quiet=as_json) as progress:
        state = resume(project, fired.run, How(listener=progress), code="locked", confirm=lambda _: None)
    return finish(project, state, as_json=as_json)


def _told(project: Project, fired: Fired, *, as_json: bool, quiet: bool = False) -> int:
    """Say which run it is, as it is now."""
    state = project.run(fired.run)
    if as_json:
        return finish(project, state, as_json=True) if state.state in OVER else _printed(state.to_json())
    if quiet:
        return 0
    if fired.repeated:
        echo(f"that has its run already: {fired.run}, ", state_text(state.state), f"; trikk show {fired.run}")
    else:
        echo(f"run {fired.run} of {state.pipeline} is queued; a server starts it: trikk show {fired.run}")
    return 1 if state.state in (RunStatus.FAILED, RunStatus.CANCELLED) else 0


def _printed(document: dict[str, Any]) -> int:
    print_json(document)
    return 0


def _show(details: TriggerDetails) -> None:
    row, declaration = details.row, details.declaration
    zone = str(declaration.get("timezone", "UTC"))
    echo(f"{row.name} starts {row.pipeline}: {details.words}")
    if details.where:
        echo(f"  declared   {details.where}")
    for label, text in _options(declaration):
        echo(f"  {label:<10} {text}")
    if row.paused:
        echo("  ", style(_until(row, zone), fg="yellow"))
        if pause := next((told for told in details.happened if told["kind"] == TriggerEntry.PAUSED), None):
            echo(f"  {'since':<10} {tick_shown(pause['at'])}, {_outcome(pause, zone)}")
    if row.trouble:
        echo("  ", style("damaged", fg="red"), f"   {row.trouble}; nothing is started by it: trikk doctor")
    if details.differs:
        echo("  servers go by another declaration of it; they read this one when their code is read again")
    if away := details.away:
        echo(
            "  ",
            style("away", fg="red"),
            f"       since {_local(away['since'], zone)}: {away['what']}; {away['next']}",
        )
    if held := details.held_up:
        asks = " and ".join(f'"{question}"' for question in held["asks"])
        behind = f"; {counted(held['waiting'], 'run')} behind it" if held["waiting"] else ""
        since = _local(held["since"], zone)
        text = f"    by run {held['run']}, which asks {asks} since {since}{behind}: trikk approvals"
        echo("  ", style("held up", fg="yellow"), text)
    for number, tick in enumerate(details.coming):
        echo(f"  {'next' if number == 0 else '':<10} {_local(tick, zone)}")
    if not details.happened:
        echo("  nothing has happened by it yet")
        return
    lines = [
        [tick_shown(told["at"]), _what(told, zone), str(told.get("run", "-")), _outcome(told, zone)]
        for told in details.happened
    ]
    table(["AT", "WHAT", "RUN", ""], lines)


def _next(row: TriggerRow) -> str:
    if row.trouble or row.paused:
        until = f" until {_local(row.paused_until, row.timezone)}" if row.paused_until else ""
        return "damaged" if row.trouble else f"paused{until}"
    return style("away", fg="red") if row.source_away else _local(row.next, row.timezone)


def _until(row: TriggerRow, zone: str) -> str:
    itself = f" {_local(row.paused_until, zone)}, or" if row.paused_until else ""
    return f"paused, until{itself} `trikk triggers unpause {row.name}`"


def _options(declaration: dict[str, Any]) -> list[tuple[str, str]]:
    overlap = {
        "skip": "while a run is not over, none is started",
        "cancel": "a run that is not over is cancelled first",
        "allow": "several may run at once",
    }.get(declaration.get("overlap", ""), "a run waits until the one before is over")
    missed = {
        "all": f"each has its run, the newest {declaration.get('at_most', 100)} at most",
        "skip": "not made up for",
    }.get(declaration.get("missed", ""), "only the newest is made up for")
    options = [("overlap", overlap)]
    if declaration["kind"] in ("cron", "interval"):
        options.append(("missed", missed))
    if offset := declaration.get("day_offset"):
        options.append(("day", f"{offset:+d} from the local date"))
    if given := declaration.get("parameters"):
        options.append(("parameters", ", ".join(f"{name}={value}" for name, value in given.items())))
    return options


def _what(told: dict[str, Any], zone: str) -> str:
    if "first" in told:
        first, last = _local(told["first"], zone), _local(told["last"], zone)
        return f"missed {told['count']} times, {first} to {last}" if told["count"] > 1 else f"missed {last}"
    verb = _VERBS.get(told["kind"], told["kind"].rpartition(".")[2])
    return f"{verb} {_local(told['tick'], zone)}" if "tick" in told else verb


def _outcome(told: dict[str, Any], zone: str) -> str:
    by = f"by {told['by']}" if "by" in told else ""
    until = f"until {_local(told['until'], zone)}" if "until" in told else ""
    return "; ".join(filter(None, (str(told.get("state", "")), by, until, str(told.get("why", "")))))


def _local(tick: str | None, zone: str) -> str:
    return tick_shown(tick, zone_of(zone or "UTC"))


def _tell_whose(project: Project, now: float) -> None:
    """Say whose triggers count, or that nobody is there to start anything."""
    from trikk.server.presence.releases import Announced, standing

    servers = _servers(project, now)
    whose = standing("", servers, Announced(project.journal).read())
    if not servers:
        echo("no server is there, so nothing is started by itself: trikk serve")
    elif not any(server.fires for server in servers):
        echo("a server is there, with --no-triggers, so nothing is started by itself")
    elif not whose.current:
        echo("a server is there, but can't load its code, so nothing is started by itself")
    else:
        echo(f"they are fired by the servers of {whose.whose}")
