"""The command on registered models: what there is, who holds which alias, and moving an alias by hand."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from trikk.cli.audited import audited
from trikk.cli.printing import echo, json_option, number_text, print_json, project_zone, table, user_name, when
from trikk.cli.server_option import or_by_server, trikk
from trikk.cli.verb_words import ListingGroup
from trikk.core.text import counted, shorten
from trikk.core.values import plain
from trikk.core.zones import moment_named
from trikk.execution.project import Project
from trikk.models.registry import Registry
from trikk.models.state import Move, MoveState, holders_document, model_document, model_summary
from trikk.models.task import Classes, class_text
from trikk.models.version import ModelVersion
from trikk.models.version_table import side_by_side
from trikk.pipeline.model_reference import split_reference

if TYPE_CHECKING:
    from trikk.client.rest_client import Client

F = TypeVar("F", bound=Callable[..., Any])
_CUT = 28
_LONGEST_CLASSES = 48


class _Models(ListingGroup):
    """`trikk models` lists, `trikk models NAME` shows; anything else is a subcommand."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            # `trikk models people` is what people write; a model called as a subcommand is shown by `models show
            # NAME`.
            args = ["show", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=_Models)
def models() -> None:
    """List registered models; `trikk models NAME` shows one, NAME:3 or NAME@champion one version of it."""


def _environment_option(command: F) -> F:
    return click.option("--environment", help="Whose aliases; the project's environment by default.")(command)


def _why_option(command: F) -> F:
    return click.option("--why", default="", help="The reason, which is kept.")(command)


def _alias_option(command: F) -> F:
    return click.option("--alias", default="champion", show_default=True)(command)


def _list_by_server(client: Client, environment: str | None, as_json: bool) -> None:
    listed = msgspec.to_builtins(list(client.models(environment)))
    where = listed[0]["environment"] if listed else environment or ""
    _print_models(listed, where, as_json=as_json)


def _show_by_server(
    client: Client, reference: str, at: str | None, environment: str | None, as_json: bool
) -> None:
    name, alias, version = split_reference(reference)
    if at is not None:
        _print_holders(client.holders(name, at, alias, environment), as_json=as_json)
    elif alias or version:
        shown = client.version(name, str(version or alias), environment)
        _show_version(ModelVersion.read(shown), as_json=as_json)
    else:
        _print_model(msgspec.to_builtins(client.model(name, environment)), as_json=as_json)


def _compare_by_server(
    client: Client, name: str, versions: tuple[str, ...], environment: str | None, as_json: bool
) -> None:
    compared = client.compare_versions(name, versions, environment)
    _print_compared(name, compared["versions"], compared["lines"], as_json=as_json)


def _promote_by_server(
    client: Client,
    name: str,
    version: str,
    alias: str,
    why: str,
    at: str | None,
    environment: str | None,
    as_json: bool,
) -> None:
    move = client.promote(name, version, alias, why, environment, at)["move"]
    _print_promoted(name, alias, version, move, as_json=as_json)


def _roll_back_by_server(
    client: Client, name: str, alias: str, why: str, environment: str | None, as_json: bool
) -> None:
    _print_move(name, client.roll_back(name, alias, why, environment)["move"], as_json=as_json)


def _approve_by_server(
    client: Client, name: str, alias: str, why: str, environment: str | None, as_json: bool
) -> None:
    _print_move(name, client.approve_model(name, alias, why, environment)["move"], as_json=as_json)


def _require_by_server(
    client: Client, name: str, alias: str, off: bool, why: str, environment: str | None, as_json: bool
) -> None:
    guarded = client.require_approval(name, alias, required=not off, why=why, environment=environment)
    _print_guarded(guarded, as_json=as_json)


@models.command("list")
@_environment_option
@json_option
@or_by_server(_list_by_server)
def list_models(environment: str | None, as_json: bool) -> None:
    """List all models: versions, and who holds which alias."""
    registry, where = _open(environment)
    listed = [model_summary(registry.state(name), where) for name in registry.names()]
    _print_models(listed, where, as_json=as_json)


def _print_models(listed: Sequence[Mapping[str, Any]], where: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"environment": where, "models": listed})
        return
    if not listed:
        echo("no models yet: register_model in a pipeline makes the first")
        return
    rows = [
        [
            model["name"],
            str(model["versions"]),
            ", ".join(f"{alias}: {version}" for alias, version in model["aliases"].items()) or "-",
            _task(model),
            when(model["registered"]),
            f"{len(model['pending'])} to approve" if model["pending"] else "",
        ]
        for model in listed
    ]
    table(["MODEL", "VERSIONS", f"ALIASES IN {where}", "TASK", "REGISTERED", ""], rows, right=["VERSIONS"])


@models.command()
@click.argument("reference", metavar="NAME")
@click.option("--at", metavar="TIME", help="Who held the aliases then: a day (its end), or a day and time.")
@_environment_option
@json_option
@or_by_server(_show_by_server)
def show(reference: str, at: str | None, environment: str | None, as_json: bool) -> None:
    """Show NAME: its versions, aliases and every move; or one version, NAME:3 or NAME@champion."""
    registry, where = _open(environment)
    name, alias, version = split_reference(reference)
    if at is not None:
        moment = moment_named(at, project_zone(), day_ends=True).timestamp()
        _print_holders(holders_document(registry.state(name), where, moment, alias), as_json=as_json)
    elif alias or version:
        _show_version(registry.resolve(reference, where), as_json=as_json)
    else:
        _print_model(model_document(registry.state(name), where), as_json=as_json)


@models.command()
@click.argument("name")
@click.argument("versions", nargs=-1, required=True, metavar="VERSION VERSION...")
@_environment_option
@json_option
@or_by_server(_compare_by_server)
def compare(name: str, versions: tuple[str, ...], environment: str | None, as_json: bool) -> None:
    """Compare versions of NAME (numbers or aliases): metrics, parameters, data versions, inputs."""
    registry, where = _open(environment)
    chosen = [registry.resolve(_reference(name, text), where) for text in versions]
    lines: list[Any] = [line.to_json() for line in side_by_side(chosen)]
    _print_compared(name, [version.version for version in chosen], lines, as_json=as_json)


def _print_compared(
    name: str, versions: Sequence[int], lines: Sequence[Mapping[str, Any]], *, as_json: bool
) -> None:
    if as_json:
        print_json({"model": name, "versions": versions, "lines": lines})
        return
    heads = [f"{name}:{version}" for version in versions]
    rows = [
        [
            line["kind"],
            line["name"] if line["name"] != line["kind"] else "",
            *map(_text, line["values"]),
            "*" if line["differs"] else "",
        ]
        for line in lines
    ]
    table(["", "NAME", *heads, "DIFFERS"], rows)


@models.command()
@click.argument("name")
@click.argument("version")
@_alias_option
@_why_option
@click.option(
    "--at", metavar="TIME", help="From when it counts, for a past that is filled in: a day, or a day and time."
)
@_environment_option
@json_option
@or_by_server(_promote_by_server)
@audited("promote_model", "name", "version", "alias", "environment", "why")
def promote(
    name: str, version: str, alias: str, why: str, at: str | None, environment: str | None, as_json: bool
) -> None:
    """Move an alias of NAME to VERSION (a number or another alias)."""
    registry, where = _open(environment)
    number = registry.resolve(_reference(name, version), where).version
    now = time.time()
    moment = None if at is None else moment_named(at, project_zone()).timestamp()
    move = registry.move(
        name,
        alias,
        number,
        where,
        by=_who(),
        why=why,
        at=now if moment is None else moment,
        recorded=None if moment is None else now,
    )
    _print_promoted(name, alias, str(number), move, as_json=as_json)


def _print_promoted(name: str, alias: str, version: str, move: Move | None, *, as_json: bool) -> None:
    if as_json:
        print_json({"move": None if move is None else move.to_json()})
    elif move is None:
        echo(f"version {version} holds {name}@{alias} already")
    elif move.state == MoveState.REQUESTED:
        echo(f"{name}@{alias} requires approval; next: {trikk()} models approve {name} --alias {alias}")
    else:
        echo(_moved(name, move))


@models.command()
@click.argument("name")
@_alias_option
@_why_option
@_environment_option
@json_option
@or_by_server(_roll_back_by_server)
@audited("roll_back_model", "name", "alias", "environment", "why")
def rollback(name: str, alias: str, why: str, environment: str | None, as_json: bool) -> None:
    """Return an alias of NAME to the version that held it before."""
    registry, where = _open(environment)
    _print_move(name, registry.rollback(name, alias, where, by=_who(), why=why, at=time.time()), as_json=as_json)


@models.command()
@click.argument("name")
@_alias_option
@_why_option
@_environment_option
@json_option
@or_by_server(_approve_by_server)
@audited("approve_model", "name", "alias", "environment", "why")
def approve(name: str, alias: str, why: str, environment: str | None, as_json: bool) -> None:
    """Approve the waiting move of an alias of NAME."""
    registry, where = _open(environment)
    _print_move(name, registry.approve(name, alias, where, by=_who(), why=why, at=time.time()), as_json=as_json)


@models.command("require-approval")
@click.argument("name")
@_alias_option
@click.option("--off", is_flag=True, help="Require no approval any more.")
@_why_option
@_environment_option
@json_option
@or_by_server(_require_by_server)
@audited("require_approval", "name", "alias", "environment", "why")
def require_approval(name: str, alias: str, off: bool, why: str, environment: str | None, as_json: bool) -> None:
    """Require approval for moving an alias of NAME."""
    registry, where = _open(environment)
    registry.require_approval(name, alias, where, by=_who(), why=why, at=time.time(), required=not off)
    _print_guarded({"model": name, "alias": alias, "environment": where, "required": not off}, as_json=as_json)


def _print_guarded(guarded: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(guarded)
    else:
        needs = "requires" if guarded["required"] else "needs no"
        echo(f"{guarded['model']}@{guarded['alias']} in {guarded['environment']} {needs} approval to move")


def _open(environment: str | None) -> tuple[Registry, str]:
    project = Project.open()
    return Registry(project.journal), environment or project.settings.environment


def _who() -> str:
    return f"{user_name()}@{socket.gethostname()}"


def _reference(name: str, text: str) -> str:
    return f"{name}:{text}" if text.isdigit() else f"{name}@{text}"


def _print_model(model: Mapping[str, Any], *, as_json: bool) -> None:
    """A model's document: its versions, aliases and moves."""
    if as_json:
        print_json(model)
        return
    environment, versions = model["environment"], [ModelVersion.read(one) for one in model["versions"]]
    echo(f"model {model['name']}: {counted(len(versions), 'version')}")
    guarded = [guard["alias"] for guard in model["approval"] if guard["environment"] == environment]
    if guarded:
        echo(f"  in {environment}, moving {', '.join(guarded)} requires approval")
    names = list(dict.fromkeys(name for v in versions for name in v.metrics))
    rows = []
    for v in versions:
        aliases = ", ".join(alias for alias, number in model["aliases"].items() if number == v.version)
        metrics = [number_text(v.metrics.get(name), ".6g") for name in names]
        rows.append(
            [
                str(v.version),
                aliases,
                *metrics,
                _task_of(v),
                when(v.created),
                v.run or "-",
                v.pipeline or "-",
                _kind(v),
            ]
        )
    columns = ["VERSION", f"ALIASES IN {environment}", *names, "TASK", "REGISTERED", "RUN", "PIPELINE", "TYPE"]
    table(columns, rows, right=["VERSION", *names])
    _print_moves(model, environment)


def _print_moves(model: Mapping[str, Any], environment: str) -> None:
    moves = [move for one in model["moves"] if (move := Move.read(one)).environment == environment]
    if moves:
        echo()
        table(
            ["MOVED", "ALIAS", "FROM", "TO", "BY", "WHY"],
            [[when(m.at), m.alias, str(m.former or "-"), str(m.version), _by(m), _why(m)] for m in moves],
            right=["FROM", "TO"],
        )
    for move in map(Move.read, model["pending"]):
        echo(f"\nversion {move.version} waits to be {move.alias}, asked by {move.by}: {move.why or 'no reason'}")
        echo(f"  next: {trikk()} models approve {model['name']} --alias {move.alias}")


def _print_holders(then: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(then)
        return
    if not then["aliases"]:
        echo(f"no alias of {then['name']} has ever been moved in {then['environment']}")
    for alias, version in then["aliases"].items():
        holder = "held by no version" if version is None else f"version {version}"
        echo(f"{when(then['at'])}  {then['name']}@{alias} was {holder}")


def _show_version(version: ModelVersion, *, as_json: bool) -> None:
    if as_json:
        print_json(version.to_json())
        return
    echo(f"model {version.reference}: {_kind(version)}, registered {when(version.created)}")
    if version.description:
        echo(f"  {version.description}")
    for line in side_by_side([version]):
        if line.values[0] not in (None, ""):
            label = line.name if line.kind == line.name else f"{line.kind} {line.name}"
            echo(f"  {label:<24}  {_text(line.values[0])}")


def _task(model: Mapping[str, Any]) -> str:
    """A model's task and classes in a cell: "binary: leak (positive), ok"."""
    if model["task"] is None:
        return "-"
    if model["classes"] is None:
        return str(model["task"])
    return f"{model['task']}: {shorten(Classes.read(model).named, _LONGEST_CLASSES)}"


def _task_of(version: ModelVersion) -> str:
    signature = version.signature
    if signature is None:
        return "-"
    classes = signature.classes.to_json() if signature.classes else {"classes": None}
    return _task({"task": signature.task and str(signature.task), **classes})


def _kind(version: ModelVersion) -> str:
    return str(version.artifact.summary.get("type", version.artifact.codec)).rpartition(".")[2]


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return class_text(value)
    if isinstance(value, list):
        return shorten(", ".join(map(class_text, value)), _LONGEST_CLASSES)
    text = number_text(value, ".6g") if isinstance(value, float) else str(plain(value, float))
    return text[:12] if len(text) == 64 else shorten(text, _CUT)


def _by(move: Move) -> str:
    return move.by if move.approved_by is None else f"{move.by}, approved by {move.approved_by}"


def _why(move: Move) -> str:
    why = "rollback" + (f": {move.why}" if move.why else "") if move.state == MoveState.RETURNED else move.why
    return ", ".join(filter(None, [why, f"told {when(move.recorded)}" if move.recorded else ""])) or "-"


def _print_move(name: str, move: Move | None, *, as_json: bool) -> None:
    if as_json:
        print_json({"move": move and move.to_json()})
    elif move is not None:
        echo(_moved(name, move))


def _moved(name: str, move: Move) -> str:
    former = "nobody" if move.former is None else f"version {move.former}"
    since = f", from {when(move.at)} on" if move.recorded else ""
    return f"{name}@{move.alias} in {move.environment}: {former} -> version {move.version}{since}"
