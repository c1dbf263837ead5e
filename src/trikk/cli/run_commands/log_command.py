"""The `logs` command."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trikk.cli.printing import echo, json_option, print_json
from trikk.cli.server_option import find_run, or_by_server
from trikk.core.errors import RunError, UsageError
from trikk.execution.project import Project
from trikk.execution.run_logs import check_step, logs_document, logs_of
from trikk.runs.states import OVER, RunStatus

if TYPE_CHECKING:
    from trikk.client.rest_client import Client
    from trikk.server.http.documents.run_documents import LogDocument

# Often enough to look live, seldom enough to cost nothing beside the steps.
_LOOK_EVERY = 0.2
_ASK_EVERY = 1.0  # seconds; a server is asked by many
_MOST = 1 << 20  # bytes of each log that a server gives


def _logs_by_server(client: Client, run: str, step: str | None, follow: bool, as_json: bool) -> int:
    _check_options(follow=follow, as_json=as_json)
    run_id = find_run(client, run)
    document = client.logs(run_id, step, _MOST)
    if as_json:
        print_json(document)
        return 0
    printed: dict[str, int] = {}
    while True:
        is_over = not follow or client.show(run_id)["state"] in OVER
        for log in document["logs"]:
            _print_part(client, run_id, log, step, printed)
        if is_over:
            return 0
        time.sleep(_ASK_EVERY)
        document = client.logs(run_id, step, 0)  # where each ends by now


def _print_part(client: Client, run: str, log: LogDocument, step: str | None, printed: dict[str, int]) -> None:
    """Print what is new of a log, however much it is."""
    name, ends = Path(log["path"]).name, log["ends"]
    if name not in printed and log["text"]:
        _print_log(log["step"] if step is None else None, log["text"])
        printed[name] = ends
    while printed.get(name, 0) < ends:
        (part,) = client.logs(run, tail=_MOST, log=name, begin=printed.get(name, 0))["logs"]
        if not part["text"]:
            return  # half of a character
        _print_log(log["step"] if step is None and name not in printed else None, part["text"])
        printed[name] = part["ends"]


def _check_options(*, follow: bool, as_json: bool) -> None:
    if follow and as_json:
        raise UsageError("-f and --json can't be combined", next="leave one of them out")


@click.command()
@click.argument("run")
@click.argument("step", required=False)
@click.option("-f", "--follow", is_flag=True, help="Keep printing until the run is over.")
@json_option
@or_by_server(_logs_by_server)
def logs(run: str, step: str | None, follow: bool, as_json: bool) -> int:
    """Print what the steps of RUN, or STEP (`name` or `name[3]`), wrote to stdout, stderr and logging."""
    _check_options(follow=follow, as_json=as_json)
    project = Project.open()
    run_id = project.find_run(run)
    printed: dict[str, int] = {}
    while True:
        # The driver before the state: one that ends in between has written the run's end, and is not missed.
        driven = project.is_driven(run_id)
        state = project.run(run_id)
        if step is not None:
            check_step(state, step)
        if as_json:
            print_json(logs_document(project, state, step))
            return 0
        for label, log in logs_of(project, state, step):
            _print_new(label if step is None else None, log, printed)
        if not follow or state.state in OVER:
            return 0
        if state.state == RunStatus.RUNNING and not driven:
            raise RunError(f"run {run_id} is {state.state}, but its driver is gone", next=f"trikk resume {run_id}")
        time.sleep(_LOOK_EVERY)


def _print_new(label: str | None, log: Path, printed: dict[str, int]) -> None:
    try:
        with log.open("rb") as file:
            # Only what is new, however long the log has become.
            file.seek(printed.get(str(log), 0))
            data = file.read()
    except OSError:
        return
    if not data:
        return
    first = str(log) not in printed
    printed[str(log)] = printed.get(str(log), 0) + len(data)
    _print_log(label if first else None, data.decode(errors="replace"))


def _print_log(label: str | None, text: str) -> None:
    if label:
        echo(f"--- {label} ---")
    # Progress bars go back to the beginning of their line; here each of their states has a line of its own.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    echo(text.removesuffix("\n"), whole=True)
