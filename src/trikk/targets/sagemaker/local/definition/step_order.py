"""Which steps of a pipeline definition come next, and how an execution ends. Pure.

A step runs when all that it waits for has ended as it must. Where that can't be any more, it never runs, and the
execution is no worse for it. After a failure that nothing waits for, no more steps begin, and those under way end.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from trikk.targets.sagemaker.local.definition.pipeline_definition import DefinedStep, Trigger


class StepPhase(StrEnum):
    """How a step stands; the names of the API, and `NotRun` for what the API does not list."""

    WAITING = "Waiting"
    STARTING = "Starting"
    EXECUTING = "Executing"
    STOPPING = "Stopping"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    STOPPED = "Stopped"
    NOT_RUN = "NotRun"


class ExecutionPhase(StrEnum):
    """How an execution stands, by the API's names."""

    EXECUTING = "Executing"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    FAILED = "Failed"
    SUCCEEDED = "Succeeded"
    COMPLETED_WITH_FAILURES = "CompletedWithFailures"


OVER = {StepPhase.SUCCEEDED, StepPhase.FAILED, StepPhase.STOPPED, StepPhase.NOT_RUN}
"""States that a step does not leave."""
_ENDS = {
    Trigger.COMPLETED: {StepPhase.SUCCEEDED},
    Trigger.FAILED: {StepPhase.FAILED},
    Trigger.STOPPED: {StepPhase.STOPPED},
    Trigger.ANY: {StepPhase.SUCCEEDED, StepPhase.FAILED, StepPhase.STOPPED},
}
"""How a step must have ended so that one that waits for it runs."""


def never_run(
    steps: Mapping[str, DefinedStep], states: Mapping[str, StepPhase], outcomes: Mapping[str, bool]
) -> list[str]:
    """The waiting steps that can't run any more, and those that can't because of these.

    Args:
        steps: all of them, by name.
        states: of all of them.
        outcomes: of the condition steps that have ended.
    """
    known = dict(states)
    lost: list[str] = []
    while True:
        more = [
            step.name
            for step in steps.values()
            if known[step.name] == StepPhase.WAITING and _is_lost(step, known, outcomes)
        ]
        if not more:
            return lost
        known |= dict.fromkeys(more, StepPhase.NOT_RUN)
        lost += more


def ready(
    steps: Mapping[str, DefinedStep], states: Mapping[str, StepPhase], outcomes: Mapping[str, bool]
) -> list[str]:
    """The steps that can begin now, in the definition's order; arguments as of `never_run`."""
    failed = unanswered_failures(steps, states)
    return [
        step.name
        for step in steps.values()
        if states[step.name] == StepPhase.WAITING
        and _may_begin(step, states, outcomes)
        and (not failed or any(each.trigger != Trigger.COMPLETED for each in step.dependencies))
    ]


def unanswered_failures(steps: Mapping[str, DefinedStep], states: Mapping[str, StepPhase]) -> list[str]:
    """The failed steps for whose failure no other step waits: these fail the execution."""
    answered = {
        dependency.step
        for step in steps.values()
        for dependency in step.dependencies
        if dependency.trigger in (Trigger.FAILED, Trigger.ANY)
    }
    return [name for name, state in states.items() if state == StepPhase.FAILED and name not in answered]


def outcome_of(
    steps: Mapping[str, DefinedStep], states: Mapping[str, StepPhase], *, stopped: bool
) -> ExecutionPhase:
    """How an execution has ended in which nothing runs and nothing can begin."""
    if unanswered_failures(steps, states):
        return ExecutionPhase.FAILED
    if stopped or StepPhase.STOPPED in states.values():
        return ExecutionPhase.STOPPED
    has_failures = StepPhase.FAILED in states.values()
    return ExecutionPhase.COMPLETED_WITH_FAILURES if has_failures else ExecutionPhase.SUCCEEDED


def _may_begin(step: DefinedStep, states: Mapping[str, StepPhase], outcomes: Mapping[str, bool]) -> bool:
    if step.branch is not None and outcomes.get(step.branch[0]) is not step.branch[1]:
        return False
    return all(states[each.step] in _ENDS[each.trigger] for each in step.dependencies)


def _is_lost(step: DefinedStep, states: Mapping[str, StepPhase], outcomes: Mapping[str, bool]) -> bool:
    if step.branch is not None:
        condition, holds = step.branch
        if states[condition] in OVER and outcomes.get(condition) is not holds:
            return True
    return any(
        states[each.step] in OVER and states[each.step] not in _ENDS[each.trigger] for each in step.dependencies
    )
