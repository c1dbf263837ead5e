"""`trikk serve`: a project runs unattended."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Any

import click

from trikk.cli.doorkeeping_options import doorkeeping_options, warn_of_open_doors
from trikk.cli.printing import echo, log_format_option, show_page
from trikk.core.logs import log_to_stderr
from trikk.execution.project import Project

if TYPE_CHECKING:
    from trikk.server.http.doors import Doors
    from trikk.server.http.routes import Pages


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8750, show_default=True, help="0 for a free one.")
@click.option(
    "--no-triggers", "triggers", flag_value=False, default=True, help="Fire no triggers; answer, and drive runs."
)
@click.option("--open", "show", is_flag=True, help="Open the console in a browser.")
@doorkeeping_options(rate=200)
@log_format_option
def serve(*, show: bool, **options: Any) -> None:
    """Run the project unattended: triggers, queued runs, monitors, the console and the REST API.

    Any number of servers may serve one project. SIGTERM or Ctrl-C ends it within 15 s; its runs go on.
    """
    from trikk.server.server_process import ServeOptions
    from trikk.server.server_process import serve as run_server
    from trikk.server.site import Site

    told = ServeOptions(**options)
    project = Project.open()
    log_to_stderr(project.settings, logging.WARNING)
    logging.getLogger("trikk.server").setLevel(logging.INFO)
    warn_of_open_doors(told, "trikk.server")

    def started(url: str) -> None:
        echo(f"serving {url}")
        if show:  # a browser in a terminal is done when its reader is: the server does not wait for that
            threading.Thread(target=show_page, args=(url,), daemon=True).start()

    run_server(Site(project, fires=told.triggers), told, started, _console)
    # Threads that wait for a locked database would hold the end up; nothing is left to be done.
    logging.shutdown()
    os._exit(0)


def _console(doors: Doors) -> Pages:
    from trikk.console.page_table import Console

    return Console(doors)
