"""What a state machine and its executions may be at most, and how much of it a definition takes.

https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html; bounds of jobs are botocore's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

LONGEST_DEFINITION = 1_048_576  # characters
LARGEST_PAYLOAD = 262_144  # bytes
MOST_EVENTS = 25_000
LONGEST_JOB = 777_600  # seconds of a processing job
MOST_ARGUMENTS = 100  # of a processing job
LONGEST_ARGUMENT = 256  # characters
LONGEST_OVERRIDES = 8192  # characters of an ECS task's
_EVENTS = {"Task": 6, "Parallel": 4, "Pass": 2, "Choice": 2, "Fail": 1}
"""Events of a state that goes well: entered and exited, and what it does between."""
_EVENTS_OF_ATTEMPT = 4  # scheduled, started, submitted, failed
_EVENTS_OF_EXECUTION = 2


def states_of(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """All states by name, those of branches included."""
    for name, state in machine["States"].items():
        yield name, state
        for branch in state.get("Branches", ()):
            yield from states_of(branch)


def events_at_most(machine: dict[str, Any]) -> tuple[int, int]:
    """Events of an execution that enters every state: if all goes well, and if every retry is needed."""
    well = _EVENTS_OF_EXECUTION + sum(_EVENTS[state["Type"]] for _, state in states_of(machine))
    retries = sum(retrier["MaxAttempts"] for _, state in states_of(machine) for retrier in state.get("Retry", ()))
    return well, well + retries * _EVENTS_OF_ATTEMPT
