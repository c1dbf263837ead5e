"""What a driver does about steps that ask people: writes the question down, and makes a result of the decision."""

from __future__ import annotations

import json
from typing import Any

from trikk.core.errors import RunError
from trikk.core.text import shorten
from trikk.core.values import JSON, encode
from trikk.execution.driving.binding import Binder
from trikk.execution.step_messages import StepResult, failure
from trikk.pipeline.arguments import Argument
from trikk.pipeline.graph import Node, OnRefusal
from trikk.runs.approval_state import ApprovalState
from trikk.storage.artifacts import Artifacts

REFUSED = "refused"
"""The kind of error of a step that was refused, where that fails the run."""
_MOST_SHOWN = 4000  # characters of a value's JSON: nobody reads more before deciding


def question_body(node: Node, binder: Binder, now: float) -> dict[str, JSON]:
    """The body of `approval.asked`.

    Raises:
        TrikkError, LookupError: if a value that is to be shown can't be had.
    """
    assert node.question is not None
    shown = {name: _shown(argument, binder) for name, argument in node.arguments.items()}
    body: dict[str, JSON] = {"step": node.name, "question": node.question.text, "shown": shown}
    expires = None if node.question.expires is None else now + node.question.expires
    return {**body, "expires": expires, "on_expiry": node.question.on_expiry}


def result_of(node: Node, approval: ApprovalState, artifacts: Artifacts) -> StepResult:
    """What a decision makes of the step: True or False, or a failure where a refusal is to fail the run."""
    assert node.question is not None
    if not approval.approved and node.question.on_refusal == OnRefusal.FAIL:
        return failure(REFUSED, approval.verdict, retryable=False)
    return StepResult([artifacts.save(bool(approval.approved))])


def never_decided(run: str) -> StepResult:
    """What a step comes to in a replay of a run in which nobody has decided."""
    return failure(REFUSED, f"nobody had decided this in run {run}, which is repeated", retryable=False)


def _shown(argument: Argument, binder: Binder) -> JSON:
    try:
        value: Any = encode(binder.value(argument))
    except RunError:  # a frame, a model: what is known of it beside its content
        return "a value that only code can look into; see: trikk show RUN STEP"
    text = json.dumps(value)
    return value if len(text) <= _MOST_SHOWN else shorten(text, _MOST_SHOWN)
