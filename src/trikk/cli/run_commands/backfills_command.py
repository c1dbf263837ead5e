"""`trikk backfills`: what was begun for whole periods, how far it is, and how it is paused and gone on with."""

from __future__ import annotations

import time
from typing import Any

import click

from trikk.cli.audited import audited, by_word
from trikk.cli.printing import echo, json_option, print_json, state_text, table, user_name, when
from trikk.cli.run_commands.backfill import carry, report
from trikk.execution.backfills.backfill_ledger import change, check_code, every, find, states_of
from trikk.execution.backfills.backfill_state import (
    Backfill,
    BackfillStatus,
    Change,
    backfill_document,
    days_begun,
    progress,
    summary,
)
from trikk.execution.project import Project
from trikk.execution.run_options import How
from trikk.execution.session import Session
from trikk.runs.living_servers import living

_CHANGES = {"pause": Change.PAUSED, "cancel": Change.CANCELLED}


@click.command()
@click.argument("words", nargs=-1, metavar="[pause|resume|cancel] [BACKFILL]")
@click.option("--why", default="", help="The reason, for pause and cancel.")
@click.option("--with-current-code", "code", flag_value="current", help="Continue with the code as it is now.")
@click.option("--with-locked-code", "code", flag_value="locked", help="Continue with each run's own code.")
@click.option("-q", "--quiet", is_flag=True, help="Print one line for each day, and what went wrong.")
@click.option("--helps", is_flag=True, hidden=True)
@json_option
@audited(by_word("backfill", "pause", "resume", "cancel"), "words", "why")
def backfills(words: tuple[str, ...], why: str, code: Any, quiet: bool, helps: bool, as_json: bool) -> int:
    """List backfills, show one (an id, its beginning, or `last`), pause it, go on with it, or cancel it.

    `resume` tries again what has failed, goes on with what was left behind, then with the rest: in this process,
    or in the servers' if it was left to them and one is there.
    """
    project = Project.open()
    action, names = (words[0], words[1:]) if words and words[0] in ("resume", *_CHANGES) else ("", words)
    if len(names) > 1 or (action and not names):
        raise click.UsageError("name one backfill")
    if not names:
        _list(project, as_json=as_json)
        return 0
    backfill = find(project.journal, names[0])
    if action == "resume":
        return _resume(project, backfill, code, quiet=quiet, helps=helps, as_json=as_json)
    if action:
        change(project.journal, backfill, _CHANGES[action], by=user_name(), why=why, now=time.time())
    return _print(project, backfill, as_json=as_json)


def _print(project: Project, backfill: Backfill, *, as_json: bool) -> int:
    if as_json:
        print_json(backfill_document(backfill, states_of(project.journal, backfill)))
    else:
        _show(project, backfill)
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


def _list(project: Project, *, as_json: bool) -> None:
    listed = [(one, states_of(project.journal, one)) for one in every(project.journal)]
    if as_json:
        print_json({"backfills": [summary(one, runs) for one, runs in listed]})
    elif not listed:
        echo("no backfills yet: trikk backfill PIPELINE --from DAY --to DAY")
    else:
        lines = [
            [
                one.id,
                ", ".join(one.declaration.pipelines),
                _period(one),
                state_text(p.state),
                when(one.begun),
                p.text,
            ]
            for one, p in ((one, progress(one, runs)) for one, runs in listed)
        ]
        table(["BACKFILL", "PIPELINES", "DAYS", "STATE", "BEGUN", "PROGRESS"], lines)


def _show(project: Project, backfill: Backfill) -> None:
    now = time.time()
    runs = states_of(project.journal, backfill)
    done = progress(backfill, runs)
    echo(f"backfill {backfill.id} of {', '.join(backfill.declaration.pipelines)}: ", state_text(done.state))
    echo(f"  days {_period(backfill)}, {backfill.declaration.parallel} at once; {done.text}")
    if backfill.by:
        echo(f"  {done.state} by {backfill.by}" + (f": {backfill.why}" if backfill.why else ""))
    rows = [
        [run["day"], run["pipeline"], state_text(run["state"]), run["run"]] for run in days_begun(backfill, runs)
    ]
    if rows:
        table(["DAY", "PIPELINE", "STATE", "RUN"], rows)
    if (
        done.state == BackfillStatus.OPEN
        and backfill.declaration.queued
        and living(project.journal.servers(), now)
    ):
        echo("servers carry it out; to stop them: trikk backfills pause " + backfill.id)
    elif done.state in (BackfillStatus.PAUSED, BackfillStatus.STOPPED, BackfillStatus.OPEN, BackfillStatus.FAILED):
        echo(f"next: trikk backfills resume {backfill.id}")


def _period(backfill: Backfill) -> str:
    days = backfill.declaration.days
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
