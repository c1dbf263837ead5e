"""A start by hand in a schedule's place: the same call, so the same token and the same tick."""

from __future__ import annotations

from collections.abc import Sequence

from trikk.targets.aws_resources.aws_access import AwsAccess, refusals
from trikk.targets.aws_resources.environment_resources import EnginePipeline
from trikk.targets.aws_resources.schedule_payload import payload_at, schedule_payload
from trikk.targets.aws_resources.start_function import start
from trikk.triggers.clock_triggers import ClockTrigger
from trikk.triggers.declared import trigger_named
from trikk.triggers.tick_by_hand import tick_named


def start_by_hand(
    access: AwsAccess, pipelines: Sequence[EnginePipeline], name: str, moment: str
) -> tuple[dict[str, str], bool]:
    """Start the execution of a trigger's scheduled time, unless it has one.

    Args:
        access: to the account.
        pipelines: those of the environment.
        name: the trigger's.
        moment: a time, or a day on which it comes due once, as a person writes it.

    Returns:
        What the start function returns, and whether the trigger comes due at that time.

    Raises:
        UnknownName: if none of the pipelines has such a trigger.
        ParameterError: if the time is none.
        AwsRefused: if AWS does not start it.
    """
    by_trigger = {declared.name: (pipeline, declared) for pipeline in pipelines for declared in pipeline.triggers}
    declared = trigger_named({key: declared for key, (_, declared) in by_trigger.items()}, name)
    pipeline, _ = by_trigger[name]
    tick = tick_named(declared, moment)
    payload = schedule_payload(pipeline.name, pipeline.graph, declared, pipeline.definition)
    with refusals(f"the start of {name}"):
        started = start(payload_at(payload, tick), access.client)
    is_due = isinstance(declared.trigger, ClockTrigger) and declared.trigger.comes_due_at(tick)
    return started, is_due
