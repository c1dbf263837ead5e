"""`--server URL`: commands that ask a server instead of the folder that they are called in.

A command that can gives `or_by_server` a function that takes a client and its options, and prints by the same
code. Every other one refuses, so that none changes the project here when a server's was meant. The token comes
from the environment or a file: other users of a machine see command lines.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from trikk.core.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from trikk.client.rest_client import Client

SERVER = "TRIKK_SERVER"
_TOKEN, _TOKEN_FILE, _CA_FILE = "TRIKK_TOKEN", "TRIKK_TOKEN_FILE", "TRIKK_CA_FILE"
_LOOKED_THROUGH = 1000  # runs among which a beginning of an id is looked for
F = TypeVar("F", bound=Callable[..., Any])


def or_by_server(ask: Callable[..., Any], *, without: Sequence[str] = ()) -> Callable[[F], F]:
    """Have a command ask a server where one is given.

    Args:
        ask: takes a client and the command's options, but for those it is without; returns the exit code.
        without: the options that are of use beside the project's folder only.
    """

    def decorate(command: F) -> F:
        @functools.wraps(command)
        def call(*args: Any, **options: Any) -> Any:
            if not server_url():
                return command(*args, **options)
            _refuse_options(without)
            with _connected() as client:
                return ask(client, **{name: value for name, value in options.items() if name not in without})

        call.minds_server = True  # type: ignore[attr-defined]
        call.without = tuple(without)  # type: ignore[attr-defined]
        option = click.option(
            "--server", metavar="URL", expose_value=False, callback=_remember, help="Ask this server instead."
        )
        return option(call)  # type: ignore[return-value]

    return decorate


def refusing_servers(command: click.Command) -> click.Command:
    """A command, or a group, of which those that can't ask a server say so when one is given."""
    if isinstance(command, click.Group):
        for below in command.commands.values():
            refusing_servers(below)
    elif command.callback is not None and not hasattr(command.callback, "minds_server"):
        command.callback = _refusing(command.callback)
    return command


def server_url() -> str:
    """The server that is to be asked; "" for none."""
    context = click.get_current_context(silent=True)
    return str((context.find_root().obj if context else None) or "")


def trikk() -> str:
    """How the command begins that a hint names: with the server, unless the environment has it."""
    url = server_url()
    return f"trikk --server {url}" if url and os.environ.get(SERVER) != url else "trikk"


def find_run(client: Client, text: str) -> str:
    """The id of the run that a user means: `last`, or the beginning of its id among the newest thousand.

    Raises:
        UnknownName: if there is none, or several begin so.
    """
    from itertools import islice

    ids = [row.id for row in islice(client.runs(), 1 if text == "last" else _LOOKED_THROUGH)]
    if text == "last" and ids:
        return ids[0]
    alike = [run for run in ids if run.startswith(text)]
    if text in alike or not alike:
        return text  # an older one, perhaps: the server says if there is none
    if len(alike) > 1:
        raise UnknownName("run", text, alike, next=f"several begin so: {', '.join(alike[:10])}")
    return alike[0]


def _remember(context: click.Context, _: click.Parameter, url: str | None) -> None:
    if url is not None:
        context.find_root().obj = url


def _refusing(callback: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(callback)
    def call(*args: Any, **options: Any) -> Any:
        if server_url():
            raise UsageError(
                f"`{click.get_current_context().command_path}` can't be had from a server",
                next=f"call it in the project's folder, without --server and {SERVER}",
            )
        return callback(*args, **options)

    call.minds_server = True  # type: ignore[attr-defined]
    return call


def _refuse_options(names: Sequence[str]) -> None:
    context = click.get_current_context()
    for option in context.command.params:
        source = context.get_parameter_source(str(option.name))
        if option.name in names and source is click.core.ParameterSource.COMMANDLINE:
            raise UsageError(
                f"{option.opts[-1]} is of no use with a server",
                next=f"leave it out, or call `{context.command_path}` in the project's folder",
            )


def _connected() -> Client:
    from trikk.cli.printing import user_name
    from trikk.client.rest_client import Client

    token, token_file = os.environ.get(_TOKEN), os.environ.get(_TOKEN_FILE)
    if not token and token_file:
        try:
            token = Path(token_file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise UsageError(f"{_TOKEN_FILE} can't be read: {reason}", where=token_file) from error
    return Client(server_url(), token or None, ca_file=os.environ.get(_CA_FILE) or None, by=user_name())
