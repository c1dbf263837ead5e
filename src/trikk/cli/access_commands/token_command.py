"""`trikk token`: what programs show to a server or an endpoint to be known by."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from trikk.access.identity import Role
from trikk.access.tokens import ShownToken, TokenDocument, TokenList, Tokens, TokenState
from trikk.access.tokens import create as create_token
from trikk.access.tokens import revoke as revoke_token
from trikk.cli.audited import audited
from trikk.cli.printing import echo, json_option, print_json, style, table, user_name, when
from trikk.cli.server_option import or_by_server
from trikk.core.durations import seconds
from trikk.execution.project import Project

if TYPE_CHECKING:
    from trikk.client.rest_client import Client

_COLOURS = {TokenState.VALID: "green", TokenState.EXPIRED: "yellow", TokenState.REVOKED: "bright_black"}


@click.group()
def token() -> None:
    """Make, list and revoke tokens: what programs show to `trikk serve` and `trikk endpoint` to be known by."""


def _create_by_server(
    client: Client, name: str, role: str, environment: str | None, expires: str, as_json: bool
) -> None:
    _print_created(client.create_token(name, role, environment, expires), as_json=as_json)


def _list_by_server(client: Client, everything: bool, as_json: bool) -> None:
    _print_list(client.tokens().tokens, everything=everything, as_json=as_json)


def _revoke_by_server(client: Client, name: str, as_json: bool) -> None:
    _print_revoked(client.revoke_token(name), as_json=as_json)


@token.command()
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True, help="What it may do.")
@click.option("--environment", metavar="NAME", help="Where it counts, * for all; the project's by default.")
@click.option("--expires", default="90d", show_default=True, help="When it ends, from now, or never.")
@json_option
@or_by_server(_create_by_server)
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
    _print_created(created.shown_once(shown), as_json=as_json)


def _print_created(created: ShownToken, *, as_json: bool) -> None:
    if as_json:
        print_json(created.to_json())
        return
    until = "for ever" if created.expires is None else f"until {_when(created.expires)}"
    where = f"in environment {created.environment}"
    echo(f"token {created.name} ({created.id}): {created.role} {where}, {until}", err=True)
    echo("it is shown this once:", err=True)
    echo(created.shown)  # alone on stdout, so that it goes into a file or a variable


@token.command("list")
@click.option("--all", "everything", is_flag=True, help="Show those that count no longer, too.")
@json_option
@or_by_server(_list_by_server)
def list_tokens(everything: bool, as_json: bool) -> None:
    """List tokens."""
    now = time.time()
    listed = Tokens(Project.open().journal).look().listed()
    _print_list([t.document(now) for t in listed], everything=everything, as_json=as_json)


def _print_list(listed: Sequence[TokenDocument], *, everything: bool, as_json: bool) -> None:
    shown = [t for t in listed if everything or t.state is TokenState.VALID]
    if as_json:
        print_json(TokenList(shown).to_json())
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
                    style(t.state, fg=_COLOURS[t.state]),
                    "never" if t.expires is None else _when(t.expires),
                    f"{_when(t.created)} by {t.by}",
                ]
                for t in shown
            ],
        )


@token.command()
@click.argument("name")
@json_option
@or_by_server(_revoke_by_server)
@audited("revoke_token", "name")
def revoke(name: str, as_json: bool) -> None:
    """Let the token NAME, or of that id, count no longer: servers refuse it within two seconds."""
    now = time.time()
    revoked = revoke_token(Project.open().journal, name, by=user_name(), now=now)
    _print_revoked(revoked.document(now), as_json=as_json)


def _print_revoked(revoked: TokenDocument, *, as_json: bool) -> None:
    if as_json:
        print_json(revoked.to_json())
    else:
        echo(f"token {revoked.name} ({revoked.id}) is revoked")


def _when(moment: str) -> str:
    """A moment in ISO, by the project's clock."""
    return when(datetime.fromisoformat(moment).timestamp())
