"""`trikk token`: what programs show to a server or an endpoint to be known by."""

from __future__ import annotations

import time

import click

from trikk.access.identity import Role
from trikk.access.tokens import TokenList, Tokens, TokenState
from trikk.access.tokens import create as create_token
from trikk.access.tokens import revoke as revoke_token
from trikk.cli.audited import audited
from trikk.cli.printing import echo, json_option, print_json, style, table, user_name, when
from trikk.core.durations import seconds
from trikk.execution.project import Project

_COLOURS = {TokenState.VALID: "green", TokenState.EXPIRED: "yellow", TokenState.REVOKED: "bright_black"}


@click.group()
def token() -> None:
    """Make, list and revoke tokens: what programs show to `trikk serve` and `trikk endpoint` to be known by."""


@token.command()
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True, help="What it may do.")
@click.option("--environment", metavar="NAME", help="Where it counts, * for all; the project's by default.")
@click.option("--expires", default="90d", show_default=True, help="When it ends, from now, or never.")
@json_option
@audited("create_token", "name", "role", "environment")
def create(name: str, role: str, environment: str | None, expires: str, as_json: bool) -> None:
    """Make a token for NAME, and print it. It is kept nowhere: store it where NAME reads it from."""
    lasts = None if expires == "never" else seconds(expires, what="--expires")
    project, now = Project.open(), time.time()
    created, shown = create_token(
        project.journal,
        name,
        Role(role),
        environment=environment or project.settings.environment,
        by=user_name(),
        now=now,
        lasts=lasts,
    )
    if as_json:
        print_json(created.shown_once(shown).to_json())
        return
    until = "for ever" if created.expires is None else f"until {when(created.expires)}"
    where = f"in environment {created.environment}"
    echo(f"token {created.name} ({created.id}): {created.role} {where}, {until}", err=True)
    echo("it is shown this once:", err=True)
    echo(shown)  # alone on stdout, so that it goes into a file or a variable


@token.command("list")
@click.option("--all", "everything", is_flag=True, help="Show those that count no longer, too.")
@json_option
def list_tokens(everything: bool, as_json: bool) -> None:
    """List tokens."""
    now = time.time()
    listed = Tokens(Project.open().journal).look().listed()
    shown = [t for t in listed if everything or t.state_at(now) is TokenState.VALID]
    if as_json:
        print_json(TokenList([t.document(now) for t in shown]).to_json())
    elif not shown:
        echo("no token counts now" if listed else "no tokens yet: trikk token create NAME --role operator")
    else:
        table(
            ["TOKEN", "ID", "ROLE", "ENVIRONMENT", "STATE", "EXPIRES", "MADE"],
            [
                [
                    t.name,
                    t.id,
                    t.role,
                    t.environment,
                    style(t.state_at(now), fg=_COLOURS[t.state_at(now)]),
                    "never" if t.expires is None else when(t.expires),
                    f"{when(t.created)} by {t.by}",
                ]
                for t in shown
            ],
        )


@token.command()
@click.argument("name")
@json_option
@audited("revoke_token", "name")
def revoke(name: str, as_json: bool) -> None:
    """Let the token NAME, or of that id, count no longer: servers refuse it within two seconds."""
    now = time.time()
    revoked = revoke_token(Project.open().journal, name, by=user_name(), now=now)
    if as_json:
        print_json(revoked.document(now).to_json())
    else:
        echo(f"token {revoked.name} ({revoked.id}) is revoked")
