"""`trikk serve`: a project runs unattended."""

from __future__ import annotations

import logging
import os
from typing import Any

import click

from trikk.cli.printing import echo, log_format_option
from trikk.core.logs import log_to_stderr
from trikk.execution.project import Project


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8750, show_default=True, help="0 for a free one.")
@click.option(
    "--no-triggers", "triggers", flag_value=False, default=True, help="Fire no triggers; answer, and drive runs."
)
@click.option(
    "--allow-host", "allow_hosts", multiple=True, metavar="NAME", help="Another name to be called by; * for any."
)
@click.option("--allow-origin", "allow_origins", multiple=True, metavar="URL", help="A web page that may call it.")
@click.option("--open-to-all", is_flag=True, help="Take no tokens: whoever reaches it may do everything.")
@click.option("--require-token", "token_needed", is_flag=True, help="Take a token on this machine, too.")
@click.option(
    "--rate", type=click.FloatRange(0), default=200, show_default=True, help="Requests a second of one caller."
)
@log_format_option
def serve(**options: Any) -> None:
    """Run the project unattended: triggers, queued runs, monitors, and the REST API.

    Any number of servers may serve one project. SIGTERM or Ctrl-C ends it within 15 s; its runs go on.
    """
    from trikk.server.server_process import ServeOptions
    from trikk.server.server_process import serve as run_server
    from trikk.server.site import Site

    told = ServeOptions(**options)
    project = Project.open()
    log_to_stderr(project.settings, logging.WARNING)
    logging.getLogger("trikk.server").setLevel(logging.INFO)
    run_server(Site(project, fires=told.triggers), told, lambda url: echo(f"serving {url}"))
    # Threads that wait for a locked database would hold the end up; nothing is left to be done.
    logging.shutdown()
    os._exit(0)
