"""The parameters of a run that no person starts: those given, and what its moment and event fill in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from trikk.core.values import JSON
from trikk.pipeline.graph import Graph
from trikk.pipeline.parameters.trigger_event import Event


def as_texts(
    graph: Graph,
    given: Mapping[str, JSON],
    moment: datetime,
    zone: str,
    *,
    day_offset: int = 0,
    event: Event | None = None,
) -> dict[str, str]:
    """The parameters of a pipeline as texts: those given, and the day, time and event where it needs them.

    Args:
        graph: the pipeline.
        given: values as JSON; texts stay as they are.
        moment: with its zone; what its required dates and times are filled in with, if they are not given.
        zone: the name of the time zone whose day it is.
        day_offset: how many days after that day its dates are; before it if negative.
        event: what its parameters of that type get, be they required or not, if they are not given.
    """
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
    for spec in graph.parameters:
        if spec.name in texts:
            continue
        if event is not None and spec.kind.is_event:
            texts[spec.name] = json.dumps(event.to_json())
        elif spec.required and spec.kind.name == "date":
            day = moment.astimezone(ZoneInfo(zone)).date() + timedelta(days=day_offset)
            texts[spec.name] = day.isoformat()
        elif spec.required and spec.kind.name == "datetime":
            texts[spec.name] = moment.isoformat()
    return texts
