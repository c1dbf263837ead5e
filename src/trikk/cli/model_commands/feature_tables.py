"""Commands on feature tables: what is online, one entity's features as they are served, sync."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from trikk.cli.audited import audited
from trikk.cli.printing import echo, json_option, print_json, table, when
from trikk.cli.server_option import or_by_server
from trikk.cli.verb_words import ListingGroup
from trikk.core.errors import UsageError
from trikk.core.text import counted
from trikk.execution.project import Project
from trikk.features.actions import remembered
from trikk.features.feature_view import EntityFeatures, FeatureTableLine, entity_features, feature_tables, moment
from trikk.features.project_place import Place
from trikk.features.sync import Synced
from trikk.features.sync import sync as bring_up

if TYPE_CHECKING:
    from trikk.client.rest_client import Client

_AT = click.option("--at", metavar="TIME", help="A moment in ISO 8601 instead of now.")


@click.group(cls=ListingGroup)
def features() -> None:
    """List feature tables: what is online, and how far it is behind its table."""


def _list_by_server(client: Client, as_json: bool) -> None:
    _print_list(client.features().features, as_json=as_json)


def _get_by_server(client: Client, name: str, keys: tuple[str, ...], at: str | None, **_: bool) -> None:
    key = _key(keys)
    _print_features(name, key, client.entity_features(name, key, at))


def _sync_by_server(client: Client, name: str, at: str | None, rebuild: bool, as_json: bool) -> None:
    _print_synced(client.sync_features(name, at, rebuild=rebuild), as_json=as_json)


@features.command("list")
@json_option
@or_by_server(_list_by_server)
def list_features(as_json: bool) -> None:
    """List feature tables: what is online, and how far it is behind its table."""
    _print_list(feature_tables(Project.open()), as_json=as_json)


def _print_list(listed: Sequence[FeatureTableLine], *, as_json: bool) -> None:
    if as_json:
        print_json({"features": [line.to_json() for line in listed]})
    elif not listed:
        echo("no feature tables yet: run a pipeline that writes or syncs one")
    else:
        table(["FEATURE TABLE", "ENTITY", "ONLINE", "VERSION", "BEHIND", "SYNCED", "WHERE"], map(_row, listed))


def _row(line: FeatureTableLine) -> list[str]:
    where = line.online if line.error is None else f"{line.online} ({line.error})"
    numbers = ["-" if n is None else f"{n:,}" for n in (line.entities, line.version, line.behind)]
    return [line.name, ", ".join(line.entity), *numbers, when(line.synced), where]


@features.command()
@click.argument("name")
@click.argument("keys", nargs=-1, required=True, metavar="KEY=VALUE...")
@_AT
@click.option("--online", metavar="ADDRESS", help="Another online store than the definition's.")
@json_option
@or_by_server(_get_by_server, without=("online",))
def get(name: str, keys: tuple[str, ...], at: str | None, online: str | None, as_json: bool) -> None:  # noqa: ARG001
    """Print the features of one entity of feature table NAME as JSON, as they are served."""
    key = _key(keys)
    then = None if at is None else moment(at)
    _print_features(name, key, entity_features(Project.open(), name, key, then, online))


def _key(pairs: Sequence[str]) -> dict[str, str]:
    key = {}
    for pair in pairs:
        column, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(
                f"{pair!r} is not a part of the key", next="write COLUMN=VALUE for each of its columns"
            )
        key[column] = text
    return key


def _print_features(name: str, key: dict[str, str], served: EntityFeatures) -> None:
    shown = dict(served.features)
    if served.missing is not None:
        shown["_missing"] = served.missing
        named = ", ".join(f"{column}={served.features[column]}" for column in key)
        echo(f"{name}: {named} is {served.missing}: {served.why}", err=True)
    print_json(shown)


@features.command()
@click.argument("name")
@click.option(
    "--to", metavar="ADDRESS", help="Another online store than the definition's: redis://..., sqlite:///..."
)
@_AT
@click.option("--rebuild", is_flag=True, help="Read the whole table and replace what is online.")
@json_option
@or_by_server(_sync_by_server, without=("to",))
@audited("sync_features", "name")
def sync(name: str, to: str | None, at: str | None, rebuild: bool, as_json: bool) -> None:
    """Bring the online store of feature table NAME up to date, by the definition its pipeline used last."""
    project = Project.open()
    definition = remembered(project.journal, name)
    place = Place(project.tables, project.journal, project.state_dir, None)
    then = None if at is None else moment(at)
    _print_synced(bring_up(definition, place, at=then, to=to, rebuild=rebuild), as_json=as_json)


def _print_synced(done: Synced, *, as_json: bool) -> None:
    if as_json:
        print_json(done.to_json())
    elif not done.entities and not done.rebuilt:
        echo(f"{done.name} is online at version {done.version} already, or nothing new counts")
    else:
        how = "all of the table was read" if done.rebuilt else "new rows only"
        written = counted(done.entities, "entity", "entities")
        echo(f"{written} of {done.name} written, at version {done.version} ({how})")
