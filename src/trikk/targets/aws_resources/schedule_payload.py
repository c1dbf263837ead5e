"""What a schedule hands the start function, and what a person's start hands it in its place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from trikk.core.values import JSON
from trikk.pipeline.graph import Graph
from trikk.targets.safe_names import safe_names
from trikk.triggers.declared import Declared
from trikk.triggers.trigger_state import tick_text

_LONGEST_NAME = 64  # of a parameter
SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"
"""https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html"""


def schedule_payload(
    pipeline: str, graph: Graph, declared: Declared, definition: Mapping[str, Any]
) -> dict[str, JSON]:
    """What the start function is called with by a trigger's schedule.

    Args:
        pipeline: what it is called at AWS.
        graph: the pipeline.
        declared: the trigger.
        definition: the compiled document: its parameters are those that are given.
    """
    trigger = declared.trigger
    known = {parameter["Name"] for parameter in definition.get("Parameters", [])}
    given = {
        name: value if isinstance(value, str) else json.dumps(value) for name, value in trigger.parameters.items()
    }
    fill = {}
    for spec in graph.parameters:
        if spec.name in given:
            continue
        if spec.kind.is_event:
            fill[spec.name] = "event"
        elif spec.required and spec.kind.name in ("date", "datetime"):
            fill[spec.name] = spec.kind.name
    called = safe_names([spec.name for spec in graph.parameters], _LONGEST_NAME)
    return {
        "trigger": declared.name,
        "scheduled": SCHEDULED_TIME,
        "pipeline": pipeline,
        "zone": trigger.timezone or "UTC",
        "day_offset": trigger.day_offset,
        "parameters": {called[name]: text for name, text in given.items()},
        "fill": {called[name]: kind for name, kind in fill.items()},
        "origin": {"Trigger", "Tick"} <= known,
    }


def payload_at(payload: Mapping[str, JSON], tick: datetime) -> dict[str, JSON]:
    """What the function is called with for one scheduled time."""
    return {**payload, "scheduled": tick_text(tick)}
