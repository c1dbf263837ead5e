"""Options on who may ask: the same for `trikk serve` and `trikk endpoint`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from trikk.access.doorkeeping import Doorkeeping

F = TypeVar("F", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path)


def doorkeeping_options(rate: float) -> Callable[[F], F]:
    """Give a command the options of `Doorkeeping`, by its names; `rate` is the default of --rate."""
    often = "Requests a second of one caller; 0 for no limit."
    options = (
        click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on."),
        click.option(
            "--allow-host", "allow_hosts", multiple=True, metavar="NAME", help="Another name; * for any."
        ),
        click.option(
            "--allow-origin", "allow_origins", multiple=True, metavar="URL", help="A page that may call."
        ),
        click.option("--open-to-all", is_flag=True, help="Take no tokens: whoever reaches it may do everything."),
        click.option("--require-token", "token_needed", is_flag=True, help="Take a token on this machine, too."),
        click.option("--rate", type=click.FloatRange(0), default=rate, show_default=True, help=often),
        click.option("--tls-cert", type=_FILE, metavar="FILE", help="Speak TLS with this certificate (PEM)."),
        click.option("--tls-key", type=_FILE, metavar="FILE", help="Its key, if that is in another file."),
        click.option(
            "--trust-proxy",
            "trust_proxies",
            multiple=True,
            metavar="ADDRESS[/BITS]",
            help="A proxy whose X-Forwarded-For, -Host and -Proto count.",
        ),
    )

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def warn_of_open_doors(door: Doorkeeping, log: str) -> None:
    """Log what an administrator should know of how a server lets people in."""
    from trikk.core.network.tls import is_here

    if is_here(door.host):
        return
    if door.open_to_all:
        logging.getLogger(log).warning("%s: whoever reaches it may do everything (--open-to-all)", door.host)
    elif door.tls_cert is None:
        logging.getLogger(log).warning("%s: tokens go over the network in the clear (--tls-cert)", door.host)
