"""`trikk people`: who has signed in to servers of the project, and which groups have which role."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

import click

from trikk.access.people import People, people_of
from trikk.access.sign_in_settings import sign_in_settings
from trikk.access.tokens import Tokens
from trikk.cli.printing import echo, json_option, print_json, table, when
from trikk.cli.server_option import or_by_server
from trikk.execution.project import Project

if TYPE_CHECKING:
    from trikk.client.rest_client import Client


def _by_server(client: Client, as_json: bool) -> None:
    _print(client.people(), as_json=as_json)


@click.command()
@json_option
@or_by_server(_by_server)
def people(as_json: bool) -> None:
    """List who has signed in, and which groups have which role."""
    project = Project.open()
    listed = Tokens(project.journal).look().listed()
    _print(people_of(listed, sign_in_settings(project.settings), time.time()), as_json=as_json)


def _print(known: People, *, as_json: bool) -> None:
    if as_json:
        print_json(known.to_json())
        return
    if known.people:
        rows = [
            [p.name, p.role, p.environment, _when(p.signed_in), _when(p.until), str(p.sessions)]
            for p in known.people
        ]
        table(["PERSON", "ROLE", "ENVIRONMENT", "SIGNED IN", "UNTIL", "SESSIONS"], rows, right=["SESSIONS"])
    else:
        echo("nobody has signed in yet" if known.issuer else "nobody signs in here: [access.oidc] in trikk.toml")
    if known.issuer:
        groups = [f"{group} is {role}" for group, role in known.roles.items()]
        rest = f"others are {known.default}" if known.default else "others may not enter"
        echo(f"by {known.issuer}: {', '.join([*groups, rest])}")


def _when(moment: str | None) -> str:
    """A moment in ISO, by the project's clock."""
    return "-" if moment is None else when(datetime.fromisoformat(moment).timestamp())
