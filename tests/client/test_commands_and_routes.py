"""What commands do, beside what a server does: each command and option asks one, or is named with the reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import click

from trikk import cli as commands_package
from trikk.cli.main import COMMANDS, cli
from trikk.client.rest_client import Client

HERE_ALONE = {
    "init": "it makes a project's folder",
    "sweep": "it carries out its runs itself; a server would have to keep a search",
    "mirror": "it sends runs to another server from where that can be reached",
    "watch": "a server looks by itself",
    "serve": "it is a server",
    "endpoint": "it is a server",
    "copy": "it brings a project from one place of storage to another, with its servers ended",
    "image": "it is made of the folder's code",
    **dict.fromkeys(("aws plan", "aws apply", "aws start", "aws destroy"), "it is done with the caller's account"),
    **dict.fromkeys(("compile", "check"), "it reads the folder's code for an engine elsewhere"),
    "executions": "it asks engines with the caller's account",
}
OPTIONS_HERE_ALONE = {
    "run": {"inline", "keep_going", "max_parallel", "target"},  # servers carry runs out by their own settings
    "resume": {"inline", "keep_going", "max_parallel", "target"},
    "replay": {"max_parallel"},
    "backfill": {"quiet", "watches", "max_parallel"},  # of a process that carries it out
    "backfills": {"quiet", "helps"},
    "show": {"events"},  # of a run as they happen: `Client.events`
    "artifacts": {"out", "show"},  # codecs read files of the project's folder; bytes: `Client.download`
    "tables": {"where"},  # SQL can read any file
    "incidents": {"now"},  # for a simulated time
    "timeline": {"picture", "monitor", "metric"},  # it draws from the journal; a server has it on a page
    "ab": {"better"},  # of a function by its place, which no request may name
    "report": {"period", "customer", "as_known_at", "send", "show", "out"},  # a report is made by a run of its own
    "features get": {"online"},  # no address from outside is asked
    "features sync": {"to"},
}
NO_COMMAND = {
    **dict.fromkeys(("health", "api", "servers", "caller"), "about the server itself"),
    **dict.fromkeys(("lock", "changes", "graph", "lineage"), "`show` has it in short, the console whole"),
    **dict.fromkeys(("rows", "column", "versions", "readers"), "`tables` shows rows and versions in its own way"),
    **dict.fromkeys(("uses", "users"), "the console shows a model's use"),
    **dict.fromkeys(("deliveries", "report_page"), "`report` shows what it makes, which is here alone"),
    "download": "`artifacts --out` is here alone",
    "close": "no request",
}


def leaves(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """A command, or those below a group, by their names."""
    if not isinstance(command, click.Group):
        yield name, command
        return
    for below, each in command.commands.items():
        yield from leaves(f"{name} {below}", each)


def all_commands() -> dict[str, click.Command]:
    context = click.Context(cli)
    listed: dict[str, click.Command] = {}
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        listed |= leaves(name, command)
    return listed


def without(command: click.Command) -> set[str]:
    """The options of a command that a server is not asked with."""
    callback = command.callback
    while callback is not None and not hasattr(callback, "without"):
        callback = getattr(callback, "__wrapped__", None)
    assert callback is not None, f"{command.name} asks no server"
    return set(callback.without)


def test_each_command_asks_a_server_or_is_here_alone() -> None:
    by_server = {}
    for name, command in all_commands().items():
        if any("--server" in option.opts for option in command.params):
            by_server[name] = command
    assert all_commands().keys() - by_server.keys() == HERE_ALONE.keys()
    assert {name: left for name, command in by_server.items() if (left := without(command))} == OPTIONS_HERE_ALONE
    for name, left_out in OPTIONS_HERE_ALONE.items():
        assert left_out <= {option.name for option in by_server[name].params}, name


def test_each_method_of_the_client_is_called_by_a_command_or_needs_none() -> None:
    called: set[str] = set()
    for file in Path(str(commands_package.__file__)).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "client":
                called.add(node.attr)
    methods = {name for name in vars(Client) if not name.startswith("_")}
    assert methods - called == NO_COMMAND.keys()


def test_the_page_on_the_client_names_the_commands_that_ask_a_server() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "client.md").read_text()
    told = page[page.index("These ask a server:") :]
    here_alone = {name.partition(" ")[0] for name in HERE_ALONE}
    for name in COMMANDS:
        assert (f"`{name}" in told) != (name in here_alone), name
