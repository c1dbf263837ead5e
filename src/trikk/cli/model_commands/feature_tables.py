"""Commands on feature tables: what is online, one entity's features as they are served, sync."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import click

from trikk.cli.audited import audited
from trikk.cli.printing import echo, json_option, print_json, table, when
from trikk.core.errors import TrikkError, UsageError
from trikk.core.text import counted
from trikk.execution.project import Project
from trikk.features import actions
from trikk.features.cells import Missing
from trikk.features.feature_definition import Definition
from trikk.features.online import State, open_online
from trikk.features.project_place import Place

_AT = click.option("--at", metavar="TIME", help="A moment in ISO 8601 instead of now.")


@click.group(invoke_without_command=True)
@click.pass_context
@json_option
def features(context: click.Context, as_json: bool) -> None:
    """List feature tables: what is online, and how far it is behind its table."""
    if context.invoked_subcommand is not None:
        return
    project = Project.open()
    tables = [_about(project, name) for name in actions.names(project.journal)]
    if as_json:
        print_json({"features": tables})
    elif not tables:
        echo("no feature tables yet: run a pipeline that writes or syncs one")
    else:
        table(["FEATURE TABLE", "ENTITY", "ONLINE", "VERSION", "BEHIND", "SYNCED", "WHERE"], map(_row, tables))


@features.command()
@click.argument("name")
@click.argument("keys", nargs=-1, required=True, metavar="KEY=VALUE...")
@_AT
@click.option("--online", metavar="ADDRESS", help="Another online store than the definition's.")
@json_option
def get(name: str, keys: tuple[str, ...], at: str | None, online: str | None, as_json: bool) -> None:  # noqa: ARG001
    """Print the features of one entity of feature table NAME as JSON, as they are served."""
    from trikk.features.serve import Server, view_of

    project = Project.open()
    definition = actions.remembered(project.journal, name)
    store = open_online(definition, project.state_dir, online)
    text = store.state()
    state = None if text is None else view_of(definition, text).state
    types = ["String"] * len(definition.entity) if state is None else state.entity
    key = _key(definition, types, keys)
    server = Server(definition, store)
    row = server.rows([key], _moment(at), None)[0]
    shown = {column: _shown(value) for column, value in row.items()}
    missing = server.missing(key, _moment(at))
    if missing is not None and missing[0] is Missing.UNKNOWN and state is not None:
        left_out = _left_out(project, definition, state, key, _moment(at))
        missing = (Missing.EXPIRED, left_out) if left_out else missing
    if missing is not None:
        shown["_missing"] = missing[0].value
        why = "nothing of it is online, or nothing by then"
        if missing[0] is Missing.EXPIRED:
            why = f"the newest features are of {missing[1]}, which is longer ago than the feature table's ttl"
        named = ", ".join(f"{column}={_shown(value)}" for column, value in key.items())
        echo(f"{name}: {named} is {missing[0]}: {why}", err=True)
    print_json(shown)


@features.command()
@click.argument("name")
@click.option(
    "--to", metavar="ADDRESS", help="Another online store than the definition's: redis://..., sqlite:///..."
)
@_AT
@click.option("--rebuild", is_flag=True, help="Read the whole table and replace what is online.")
@json_option
@audited("sync_features", "name")
def sync(name: str, to: str | None, at: str | None, rebuild: bool, as_json: bool) -> None:
    """Bring the online store of feature table NAME up to date, by the definition its pipeline used last."""
    from trikk.features.sync import sync as bring_up

    project = Project.open()
    definition = actions.remembered(project.journal, name)
    place = Place(project.tables, project.journal, project.state_dir, None)
    done = bring_up(definition, place, at=_moment(at), to=to, rebuild=rebuild)
    if as_json:
        print_json(done.to_json())
        return
    if not done.entities and not done.rebuilt:
        echo(f"{name} is online at version {done.version} already, or nothing new counts")
        return
    how = "all of the table was read" if done.rebuilt else "new rows only"
    echo(f"{counted(done.entities, 'entity', 'entities')} of {name} written, at version {done.version} ({how})")


def _about(project: Project, name: str) -> dict[str, Any]:
    definition = actions.remembered(project.journal, name)
    newest = project.tables.version(name)
    about: dict[str, Any] = {
        "name": name,
        "entity": list(definition.entity),
        "table_version": newest,
        "online": definition.online or "sqlite",
        "entities": None,
        "version": None,
        "behind": None,
        "synced": None,
        "error": None,
    }
    try:
        store = open_online(definition, project.state_dir)
        text = store.state()
        if text is not None:
            state = State.parse(text, definition)
            behind = None if newest is None else newest - state.version
            about |= {
                "entities": store.count(),
                "version": state.version,
                "behind": behind,
                "synced": state.synced,
            }
            if Definition.read(state.definition).meaning != definition.meaning:
                about["error"] = "online under another definition: sync it"
    except TrikkError as error:
        about["error"] = error.what
    return about


def _row(about: dict[str, Any]) -> list[str]:
    def text(value: Any) -> str:
        return "-" if value is None else f"{value:,}"

    where = about["online"] if about["error"] is None else f"{about['online']} ({about['error']})"
    numbers = [text(about[column]) for column in ("entities", "version", "behind")]
    return [about["name"], ", ".join(about["entity"]), *numbers, when(about["synced"]), where]


def _key(definition: Definition, types: list[str], given: tuple[str, ...]) -> dict[str, Any]:
    texts = {}
    for pair in given:
        column, equals, text = pair.partition("=")
        if not equals or column not in definition.entity:
            wanted = " ".join(f"{c}=..." for c in definition.entity)
            raise UsageError(f"{pair!r} is not a part of the key", next=f"write {wanted}")
        texts[column] = text
    # Keys as the table has them: "7" may be a number or a text, and only one of them is found.
    kinds = dict(zip(definition.entity, types, strict=True))
    return {column: _value(column, text, kinds[column]) for column, text in texts.items()}


def _left_out(
    project: Project, definition: Definition, state: State, key: dict[str, Any], at: datetime | None
) -> str:
    """From when an entity's newest features are that are in the table, and too old to be online; "" for none."""
    import polars as pl

    try:
        rows = project.tables.scan(definition.name, state.version)
    except TrikkError:
        return ""
    moment = (at or datetime.now(UTC)) - timedelta(microseconds=definition.delay)
    own = [pl.col(column) == value for column, value in key.items()]
    by_then = pl.col(definition.time) <= (moment if state.aware else moment.replace(tzinfo=None))
    newest = rows.filter(*own, by_then).select(pl.col(definition.event or definition.time).max())
    return "".join(one.isoformat() for one in newest.collect().to_series() if one is not None)


def _value(column: str, text: str, kind: str) -> Any:
    try:
        if kind == "Boolean":
            return {"true": True, "false": False}[text.lower()]
        if kind == "Date":
            return date.fromisoformat(text)
        return text if kind == "String" else int(text)
    except (KeyError, ValueError):
        raise UsageError(
            f"{column}={text} is not of type {kind}", next="write the key as the table has it"
        ) from None


def _moment(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a moment", next="write it such as 2024-03-01T09:30:00+00:00") from None


def _shown(value: Any) -> Any:
    if isinstance(value, list):
        return [_shown(one) for one in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
