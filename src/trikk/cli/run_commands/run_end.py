"""What is said when a run has ended or waits for people, wherever it was driven."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trikk.cli.printing import echo, parameters_text, print_json, took, when
from trikk.cli.server_option import trikk
from trikk.core.text import counted
from trikk.core.values import plain
from trikk.runs.approval_state import ApprovalState
from trikk.runs.run_state import RunState
from trikk.runs.states import RunStatus

LAST_LINES = 15
WAITS = 3
"""The exit code of a command whose run waits for a decision."""


def exit_code(state: RunState) -> int:
    """Of a command that has seen a run to its end, or to a question."""
    return WAITS if state.state == RunStatus.WAITING else 0 if state.state == RunStatus.SUCCEEDED else 1


def say_succeeded(state: RunState) -> None:
    """That it has, and what failed on the way."""
    lost = ", ".join(name for name, step in state.steps.items() if step.allowed)
    though = f" though {lost} failed, as it may," if lost else ""
    time = took(state.started, state.ended)
    echo(f"run {state.id} succeeded{though} in {time}; look: {trikk()} show {state.id}")


def say_failed(state: RunState, log: str, lines: Sequence[str], way_on: str) -> None:
    """The error, the last lines of the failed step's log, and the command that helps.

    Args:
        state: the run.
        log: where the log is.
        lines: of it; with none, the step's trace is shown.
        way_on: the command.
    """
    echo(f"run {state.id} {state.state}: {state.error or ''}".rstrip(": "), err=True)
    culprit = state.culprit()
    # The end of the log says more than the trace: what the step printed before it failed.
    if lines:
        echo(f"  the end of {log}:", err=True)
    elif culprit is not None and (error := culprit[1].error):
        lines = str(error["traceback"] or error["message"]).splitlines()
    for line in lines[-LAST_LINES:]:
        echo(f"  | {line}".rstrip(), err=True)
    echo(f"  next: {way_on}", err=True)


def print_comparison(comparison: Mapping[str, Any], *, as_json: bool) -> int:
    """What a replay has proved; the exit code."""
    if as_json:
        print_json(comparison)
        return 0 if comparison["identical"] else 1
    for step in comparison["steps"]:
        echo(
            f"  {step['name']}: {step['verdict']}{': ' + step['detail'] if step['verdict'] != 'identical' else ''}"
        )
    same, of = sum(step["identical"] for step in comparison["steps"]), counted(len(comparison["steps"]), "step")
    verdict = "identical" if comparison["identical"] else "NOT identical"
    echo(f"run {comparison['run']} is {verdict} to run {comparison['of']}: {same} of {of}")
    return 0 if comparison["identical"] else 1


def shown_text(shown: Mapping[str, Any]) -> str:
    """What is to be looked at before deciding."""
    return parameters_text({name: plain(value, float) for name, value in shown.items()})


def explain_waiting(state: RunState) -> None:
    """What a run asks, and the commands that decide."""
    explain_questions(state.id, state.open_approvals())


def explain_questions(run: str, opened: Sequence[ApprovalState]) -> None:
    """What a run asks that nobody has decided, and the commands that decide."""
    for approval in opened:
        until = f" (until {when(approval.expires)}, then: {approval.on_expiry})" if approval.expires else ""
        echo(f"run {run} waits for a decision: {approval.step} asks: {approval.question}{until}")
        if approval.shown:
            echo(f"  {shown_text(approval.shown)}")
    which = f"{run} {opened[0].step}" if len(opened) > 1 else run
    echo(f'  next: {trikk()} approve {which} --why "...", or {trikk()} refuse {which} --why "..."')
