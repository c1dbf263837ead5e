"""The command on registered models: what there is, who holds which alias, and moving an alias by hand."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from trikk.cli.audited import audited
from trikk.cli.printing import echo, json_option, number_text, print_json, project_zone, table, user_name, when
from trikk.cli.server_option import check_json, or_by_server, trikk
from trikk.core.errors import UsageError
from trikk.core.text import counted, shorten
from trikk.core.values import plain
from trikk.core.zones import moment_of
from trikk.execution.project import Project
from trikk.models.registry import Registry
from trikk.models.state import ModelState, Move, MoveState, model_document, model_summary
from trikk.models.task import class_text
from trikk.models.version import ModelVersion
from trikk.models.version_table import side_by_side
from trikk.pipeline.model_reference import split_reference

if TYPE_CHECKING:
    from trikk.client.rest_client import Client

F = TypeVar("F", bound=Callable[..., Any])
_CUT = 28
_LONGEST_CLASSES = 48


class _Models(click.Group):
    """`trikk models` lists, `trikk models NAME` shows; anything else is a subcommand."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            # `trikk models people` is what people write; a model called as a subcommand is shown by `models show
            # NAME`.
            args = ["show", *args]
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help")):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Models)
def models() -> None:
    """List registered models; `trikk models NAME` shows one, NAME:3 or NAME@champion one version of it."""


def _environment_option(command: F) -> F:
    return click.option("--environment", help="Whose aliases; the project's environment by default.")(command)


def _why_option(command: F) -> F:
    return click.option("--why", default="", help="The reason, which is kept.")(command)


def _alias_option(command: F) -> F:
    return click.option("--alias", default="champion", show_default=True)(command)


def _list_by_server(client: Client, as_json: bool) -> None:
    check_json(as_json=as_json)
    listed = msgspec.to_builtins(list(client.models()))
    print_json({"environment": listed[0]["environment"] if listed else "", "models": listed})


def _show_by_server(client: Client, reference: str, as_json: bool) -> None:
    check_json(as_json=as_json)
    print_json(msgspec.to_builtins(client.model(reference)))


def _compare_by_server(
    client: Client, name: str, versions: tuple[str, ...], environment: str | None, as_json: bool
) -> None:
    compared = client.compare_versions(name, versions, environment)
    _print_compared(name, compared["versions"], compared["lines"], as_json=as_json)


def _promote_by_server(
    client: Client, name: str, version: str, alias: str, why: str, environment: str | None, as_json: bool
) -> None:
    move = client.promote(name, version, alias, why, environment)["move"]
    _print_promoted(name, alias, version, move, as_json=as_json)


def _roll_back_by_server(
    client: Client, name: str, alias: str, why: str, environment: str | None, as_json: bool
) -> None:
    _print_move(name, client.roll_back(name, alias, why, environment)["move"], as_json=as_json)


def _approve_by_server(
    client: Client, name: str, alias: str, why: str, environment: str | None, as_json: bool
) -> None:
    _print_move(name, client.approve_model(name, alias, why, environment)["move"], as_json=as_json)


@models.command("list")
@_environment_option
@json_option
@or_by_server(_list_by_server, without=("environment",))
def list_models(environment: str | None, as_json: bool) -> None:
    """List all models: versions, and who holds which alias."""
    registry, where = _open(environment)
    states = [registry.state(name) for name in registry.names()]
    if as_json:
        print_json({"environment": where, "models": [model_summary(state, where) for state in states]})
        return
    if not states:
        echo("no models yet: register_model in a pipeline makes the first")
        return
    rows = [
        [
            s.name,
            str(len(s.versions)),
            ", ".join(f"{alias}: {version}" for alias, version in s.aliases(where).items()) or "-",
            _task(s.versions[max(s.versions)]),
            when(s.versions[max(s.versions)].created),
            f"{sum(place[0] == where for place in s.pending)} to approve" if s.pending else "",
        ]
        for s in states
    ]
    table(["MODEL", "VERSIONS", f"ALIASES IN {where}", "TASK", "REGISTERED", ""], rows, right=["VERSIONS"])


@models.command()
@click.argument("reference", metavar="NAME")
@click.option("--at", metavar="TIME", help="Who held the aliases then: a day (its end), or a day and time.")
@_environment_option
@json_option
@or_by_server(_show_by_server, without=("at", "environment"))
def show(reference: str, at: str | None, environment: str | None, as_json: bool) -> None:
    """Show NAME: its versions, aliases and every move; or one version, NAME:3 or NAME@champion."""
    registry, where = _open(environment)
    name, alias, version = split_reference(reference)
    if at is not None:
        _show_then(registry.state(name), alias, where, _moment(at, day_ends=True), as_json=as_json)
    elif alias or version:
        _show_version(registry.resolve(reference, where), as_json=as_json)
    elif as_json:
        print_json(model_document(registry.state(name), where))
    else:
        _show_model(registry.state(name), where)


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
@or_by_server(_promote_by_server, without=("at",))
@audited("promote_model", "name", "version", "alias", "environment", "why")
def promote(
    name: str, version: str, alias: str, why: str, at: str | None, environment: str | None, as_json: bool
) -> None:
    """Move an alias of NAME to VERSION (a number or another alias)."""
    registry, where = _open(environment)
    number = registry.resolve(_reference(name, version), where).version
    now = time.time()
    moment = None if at is None else _moment(at)
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
@audited("require_approval", "name", "alias", "environment", "why")
def require_approval(name: str, alias: str, off: bool, why: str, environment: str | None, as_json: bool) -> None:
    """Require approval for moving an alias of NAME."""
    registry, where = _open(environment)
    registry.require_approval(name, alias, where, by=_who(), why=why, at=time.time(), required=not off)
    if as_json:
        print_json({"model": name, "alias": alias, "environment": where, "required": not off})
    else:
        echo(f"{name}@{alias} in {where} {'needs no' if off else 'requires'} approval to move")


def _open(environment: str | None) -> tuple[Registry, str]:
    project = Project.open()
    return Registry(project.journal), environment or project.settings.environment


def _who() -> str:
    return f"{user_name()}@{socket.gethostname()}"


def _reference(name: str, text: str) -> str:
    return f"{name}:{text}" if text.isdigit() else f"{name}@{text}"


def _moment(text: str, *, day_ends: bool = False) -> float:
    """Seconds since 1970 of an ISO time, in the project's zone if it has none; of a day, its beginning or end."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a time", next="write 2020-03-03, or 2020-03-03T12:30") from None
    # "Who held it on that day" means whoever did at its end.
    if day_ends and len(text) <= len("2020-03-03"):
        moment += timedelta(days=1, microseconds=-1)
    return moment_of(moment, project_zone()).timestamp()


def _show_model(state: ModelState, environment: str) -> None:
    holders = state.aliases(environment)
    echo(f"model {state.name}: {counted(len(state.versions), 'version')}")
    guarded = [alias for where, alias in sorted(state.guarded) if where == environment]
    if guarded:
        echo(f"  in {environment}, moving {', '.join(guarded)} requires approval")
    names = list(dict.fromkeys(name for v in state.versions.values() for name in v.metrics))
    rows = []
    for v in state.versions.values():
        aliases = ", ".join(alias for alias, number in holders.items() if number == v.version)
        metrics = [number_text(v.metrics.get(name), ".6g") for name in names]
        rows.append(
            [
                str(v.version),
                aliases,
                *metrics,
                _task(v),
                when(v.created),
                v.run or "-",
                v.pipeline or "-",
                _kind(v),
            ]
        )
    columns = ["VERSION", f"ALIASES IN {environment}", *names, "TASK", "REGISTERED", "RUN", "PIPELINE", "TYPE"]
    table(columns, rows, right=["VERSION", *names])
    moves = [move for move in state.moves if move.environment == environment]
    if moves:
        echo()
        table(
            ["MOVED", "ALIAS", "FROM", "TO", "BY", "WHY"],
            [[when(m.at), m.alias, str(m.former or "-"), str(m.version), _by(m), _why(m)] for m in moves],
            right=["FROM", "TO"],
        )
    for (where, alias), move in state.pending.items():
        if where == environment:
            echo(f"\nversion {move.version} waits to be {alias}, asked by {move.by}: {move.why or 'no reason'}")
            echo(f"  next: trikk models approve {state.name} --alias {alias}")


def _show_then(state: ModelState, alias: str | None, environment: str, at: float, *, as_json: bool) -> None:
    aliases = sorted({move.alias for move in state.moves if move.environment == environment})
    wanted = [alias] if alias else aliases
    holders = {name: state.holder_number(name, environment, at) for name in wanted}
    if as_json:
        print_json({"name": state.name, "environment": environment, "at": at, "aliases": holders})
    elif not holders:
        echo(f"no alias of {state.name} has ever been moved in {environment}")
    for name, version in holders.items() if not as_json else ():
        holder = "held by no version" if version is None else f"version {version}"
        echo(f"{when(at)}  {state.name}@{name} was {holder}")


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


def _task(version: ModelVersion) -> str:
    """A version's task and classes in a cell: "binary: leak (positive), ok"."""
    signature = version.signature
    if signature is None or signature.task is None:
        return "-"
    if signature.classes is None:
        return str(signature.task)
    return f"{signature.task}: {shorten(signature.classes.named, _LONGEST_CLASSES)}"


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
