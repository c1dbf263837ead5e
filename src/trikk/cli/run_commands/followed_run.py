"""Runs on a server, followed and told of as those that are driven here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from trikk.cli.printing import echo, print_json
from trikk.cli.run_commands.progress import Progress
from trikk.cli.run_commands.run_end import exit_code, explain_waiting, print_comparison, say_failed, say_succeeded
from trikk.cli.server_option import find_run, trikk
from trikk.runs.events import EventKind
from trikk.runs.journals.journal import Event
from trikk.runs.run_state import RunState
from trikk.runs.states import OVER, RunStatus

if TYPE_CHECKING:
    from trikk.client.rest_client import Client, Code

_TAIL = 4096  # bytes of a log of which the last lines are shown


def start(client: Client, pipeline: str, parameters: dict[str, str], *, as_json: bool) -> int:
    """Start a run, and follow it to its end or to a question."""
    return follow(client, client.run(pipeline, _values(client, pipeline, parameters))["id"], as_json=as_json)


def resume(
    client: Client,
    run: str,
    code: Code | None,
    *,
    current_data: bool,
    again: Sequence[str],
    keep: Sequence[str],
    as_json: bool,
) -> int:
    """Have a run go on, and follow it from there; arguments as of `Client.resume`."""
    run_id = find_run(client, run)
    before = RunState(run_id)
    if client.show(run_id)["state"] in OVER:  # else the server says that it can't be resumed
        for event in client.events(run_id):
            before.apply(_event(run_id, event))
    client.resume(run_id, code, current_data=current_data, again=again, keep=keep)
    return follow(client, run_id, as_json=as_json, state=before)


def replay(client: Client, run: str, *, as_json: bool) -> int:
    """Replay a run, follow it, and say what it has proved."""
    replayed = client.replay(find_run(client, run))["id"]
    state = _followed(client, replayed, RunState(replayed), as_json=as_json)
    if state.state == RunStatus.WAITING:
        explain_waiting(state)
        return exit_code(state)
    return print_comparison(msgspec.to_builtins(client.comparison(replayed)), as_json=as_json)


def follow(client: Client, run: str, *, as_json: bool, state: RunState | None = None) -> int:
    """Tell of a run's events as they come, from `state` on, and how it ends; the exit code."""
    state = _followed(client, run, state or RunState(run), as_json=as_json)
    if as_json:
        print_json(client.show(run))
    elif state.state == RunStatus.SUCCEEDED:
        say_succeeded(state)
    elif state.state == RunStatus.WAITING:
        explain_waiting(state)
    else:
        say_failed(state, *_last_lines(client, state), f"{trikk()} resume {run}")
    return exit_code(state)


def _followed(client: Client, run: str, state: RunState, *, as_json: bool) -> RunState:
    try:
        with Progress(quiet=as_json) as progress:
            for streamed in client.events(run, after=state.seq):
                event = _event(run, streamed)
                state.apply(event)
                progress(event, state)
                if event.kind == EventKind.RUN_WAITING:
                    break  # who decides may take days
    except KeyboardInterrupt:
        echo(f"\nrun {run} goes on; look: {trikk()} show {run}, stop it: {trikk()} cancel {run}", err=True)
        raise click.exceptions.Exit(1) from None
    return state


def _event(run: str, streamed: Any) -> Event:
    return Event(streamed["seq"], run, streamed["kind"], streamed["at"], streamed["body"])


def _last_lines(client: Client, state: RunState) -> tuple[str, list[str]]:
    """What is left of the failed step's log, and its name; both empty if it has none."""
    culprit = state.culprit()
    if culprit is None or not culprit[1].log:
        return "", []
    logs = client.logs(state.id, culprit[0], _TAIL)["logs"]
    return (logs[-1]["path"], logs[-1]["text"].splitlines()) if logs else ("", [])


def _values(client: Client, pipeline: str, texts: dict[str, str]) -> dict[str, Any]:
    """Parameters as the pipeline's kinds have them, so that a wrong one is refused as it is here."""
    from trikk.pipeline.graph import Graph, ParameterSpec
    from trikk.pipeline.pipeline import parameters_for

    declared = [one for one in client.pipelines()["pipelines"] if one["pipeline"] == pipeline]
    if not declared:
        return dict(texts)  # the server says which pipelines there are
    specs = tuple(ParameterSpec.read(dict(spec)) for spec in declared[0]["parameters"])
    checked = parameters_for(Graph(pipeline, specs, {}), texts, text=True)
    return {name: checked[name] for name in texts}
