"""`trikk backfills`: what was begun for whole periods, how far it is, and how it is paused and gone on with."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from trikk.cli.audited import audited
from trikk.cli.printing import echo, json_option, print_json, state_text, table, user_name, when
from trikk.cli.run_commands.backfill import carry, report
from trikk.cli.server_option import or_by_server, trikk
from trikk.cli.verb_words import by_word, split_words
from trikk.execution.backfills.backfill_ledger import change, check_code, every, find, states_of
from trikk.execution.backfills.backfill_state import (
    Backfill,
    BackfillStatus,
    Change,
    Progress,
    backfill_document,
    progress,
    summary,
)
from trikk.execution.project import Project
from trikk.execution.run_options import How
from trikk.execution.session import Session
from trikk.runs.living_servers import living

if TYPE_CHECKING:
    from trikk.client.rest_client import Client

_CHANGES = {"pause": Change.PAUSED, "cancel": Change.CANCELLED}
_ACTIONS = ("resume", *_CHANGES)


def _by_server(client: Client, words: tuple[str, ...], why: str, code: Any, as_json: bool, **_: Any) -> None:
    action, name = split_words(words, _ACTIONS, "backfill")
    if not name:
        _list(list(client.backfills()), as_json=as_json)
        return
    backfill = _named(client, name)
    if action == "resume":
        document = client.resume_backfill(backfill, code, why)
    elif action:
        document = (client.pause_backfill if action == "pause" else client.cancel_backfill)(backfill, why)
    else:
        document = client.show_backfill(backfill)
    if as_json:
        print_json(document)
    else:
        _show(document)


def _named(client: Client, name: str) -> str:
    """A backfill's id, of its beginning or `last`; what is none is left to the server to refuse."""
    ids = [backfill["id"] for backfill in client.backfills()]
    alike = ids[:1] if name == "last" else [one for one in ids if one.startswith(name)]
    return alike[0] if len(alike) == 1 else name


@click.command()
@click.argument("words", nargs=-1, metavar="[pause|resume|cancel] [BACKFILL]")
@click.option("--why", default="", help="The reason, for pause and cancel.")
@click.option("--with-current-code", "code", flag_value="current", help="Continue with the code as it is now.")
@click.option("--with-locked-code", "code", flag_value="locked", help="Continue with each run's own code.")
@click.option("-q", "--quiet", is_flag=True, help="Print one line for each day, and what went wrong.")
@click.option("--helps", is_flag=True, hidden=True)
@json_option
@or_by_server(_by_server, without=("quiet", "helps"))
@audited(by_word("backfill", *_ACTIONS), "words", "why", unless="helps")
def backfills(words: tuple[str, ...], why: str, code: Any, quiet: bool, helps: bool, as_json: bool) -> int:
    """List backfills, show one (an id, its beginning, or `last`), pause it, go on with it, or cancel it.

    `resume` tries again what has failed, goes on with what was left behind, then with the rest: in this process,
    or in the servers' if it was left to them and one is there.
    """
    project = Project.open()
    action, name = split_words(words, _ACTIONS, "backfill")
    if not name:
        listed = every(project.journal)
        _list([summary(one, states_of(project.journal, one)) for one in listed], as_json=as_json)
        return 0
    backfill = find(project.journal, name)
    if action == "resume":
        return _resume(project, backfill, code, quiet=quiet, helps=helps, as_json=as_json)
    if action:
        change(project.journal, backfill, _CHANGES[action], by=user_name(), why=why, now=time.time())
    return _print(project, backfill, as_json=as_json)


def _print(project: Project, backfill: Backfill, *, as_json: bool) -> int:
    document = backfill_document(backfill, states_of(project.journal, backfill))
    if as_json:
        print_json(document)
        return 0
    declared, now = backfill.declaration, time.time()
    _show(document, f", {declared.parallel} at once")
    if document["state"] == BackfillStatus.OPEN and declared.queued and living(project.journal.servers(), now):
        echo("servers carry it out; to stop them: trikk backfills pause " + backfill.id)
    elif document["state"] not in (BackfillStatus.SUCCEEDED, BackfillStatus.CANCELLED):
        echo(f"next: trikk backfills resume {backfill.id}")
    return 0


def _resume(project: Project, backfill: Backfill, code: Any, *, quiet: bool, helps: bool, as_json: bool) -> int:
    declared = backfill.declaration
    how = How(keep_going=declared.keep_going, max_parallel=declared.max_parallel)
    now = how.clock.now()
    is_theirs = declared.queued and bool(living(project.journal.servers(), now))
    if not helps:
        if is_theirs and code is None:
            check_code(project, backfill)
        change(project.journal, backfill, Change.RESUMED, by=user_name(), why="", now=now, code=code or "")
    elif progress(backfill, states_of(project.journal, backfill)).state == BackfillStatus.SUCCEEDED:
        return 0
    if is_theirs:
        return _print(project, backfill, as_json=as_json)
    with Session(project, how) as session:
        carrier, teller = carry(session, backfill, code=code, quiet=quiet, as_json=as_json, alone=helps)
    return report(carrier, teller, as_json=as_json)


def _list(listed: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json({"backfills": listed})
    elif not listed:
        echo(f"no backfills yet: {trikk()} backfill PIPELINE --from DAY --to DAY")
    else:
        lines = [
            [
                one["id"],
                ", ".join(one["pipelines"]),
                _period(one),
                state_text(one["state"]),
                _when(one),
                Progress.read(one).text,
            ]
            for one in listed
        ]
        table(["BACKFILL", "PIPELINES", "DAYS", "STATE", "BEGUN", "PROGRESS"], lines)


def _show(backfill: Mapping[str, Any], at_once: str = "") -> None:
    state = backfill["state"]
    echo(f"backfill {backfill['id']} of {', '.join(backfill['pipelines'])}: ", state_text(state))
    echo(f"  days {_period(backfill)}{at_once}; {Progress.read(backfill).text}")
    if backfill["by"]:
        echo(f"  {state} by {backfill['by']}" + (f": {backfill['why']}" if backfill["why"] else ""))
    rows = [[run["day"], run["pipeline"], state_text(run["state"]), run["run"]] for run in backfill["runs"]]
    if rows:
        table(["DAY", "PIPELINE", "STATE", "RUN"], rows)


def _period(backfill: Mapping[str, Any]) -> str:
    first, last = backfill["from"], backfill["to"]
    return str(first) if first == last else f"{first} to {last}"


def _when(backfill: Mapping[str, Any]) -> str:
    return when(datetime.fromisoformat(backfill["begun"]).timestamp())
