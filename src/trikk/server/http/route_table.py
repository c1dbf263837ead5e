"""The table of all routes."""

from __future__ import annotations

from typing import Any

from trikk.server.http import data_handlers as data
from trikk.server.http import health_handlers as health
from trikk.server.http import run_actions as act
from trikk.server.http import run_handlers as runs
from trikk.server.http import watch_handlers as watch
from trikk.server.http.routes import API, Route, Said

_RUN, _TRIGGER, _INCIDENT = (
    f"{API}/runs/{{run}}",
    f"{API}/triggers/{{trigger}}",
    f"{API}/incidents/{{incident:path}}",
)

ROUTES = (
    Route("GET", "/healthz", health.healthz),
    Route("GET", "/readyz", health.readyz),
    Route("GET", "/metrics", health.metrics, answer=str),
    Route("GET", f"{API}/pipelines", runs.pipelines),
    Route("GET", f"{API}/runs", runs.runs, query=runs.RunsQuery),
    Route("POST", f"{API}/runs", runs.start_run, body=runs.NewRun, status=201),
    Route("GET", _RUN, runs.run),
    Route("GET", f"{_RUN}/events", runs.events, answer=Any),
    Route("POST", f"{_RUN}/cancel", act.cancel, body=Said),
    Route("POST", f"{_RUN}/resume", act.resume, body=act.ResumeWith, status=202),
    Route("POST", f"{_RUN}/replay", act.replay, body=Said, status=201),
    Route("GET", f"{_RUN}/comparison", act.comparison),
    Route("POST", f"{_RUN}/approve", watch.approve, body=watch.Decided),
    Route("POST", f"{_RUN}/refuse", watch.refuse, body=watch.Decided),
    Route("GET", f"{API}/triggers", watch.triggers),
    Route("GET", _TRIGGER, watch.trigger),
    Route("POST", f"{_TRIGGER}/fire", watch.fire, body=watch.FireAs, status=201),
    Route("POST", f"{_TRIGGER}/pause", watch.pause, body=watch.PauseUntil),
    Route("POST", f"{_TRIGGER}/unpause", watch.unpause, body=Said),
    Route("POST", "/hooks/{hook}", watch.hook, body=bytes, status=201),
    Route("GET", f"{API}/tables", data.tables),
    Route("GET", f"{API}/tables/{{table}}", data.table, query=data.TableQuery),
    Route("GET", f"{API}/models", data.models),
    Route("GET", f"{API}/models/{{model}}", data.model),
    Route("GET", f"{API}/monitors", watch.monitors),
    Route("GET", f"{API}/monitors/{{monitor}}", watch.monitor, query=watch.MonitorQuery),
    Route("GET", f"{API}/incidents", watch.incidents, query=watch.IncidentsQuery),
    # In this order: an incident's id may have slashes, since a slice's value may.
    Route("POST", f"{_INCIDENT}/acknowledge", watch.acknowledge, body=Said),
    Route("GET", _INCIDENT, watch.incident),
    Route("GET", f"{API}/artifacts/{{digest}}", data.artifact, answer=bytes),
)
