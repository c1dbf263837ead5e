"""The table of all routes."""

from __future__ import annotations

from typing import Any

from trikk.server.http import health_handlers as health
from trikk.server.http import run_handlers as runs
from trikk.server.http.routes import API, Route

ROUTES = (
    Route("GET", "/healthz", health.healthz),
    Route("GET", "/readyz", health.readyz),
    Route("GET", "/metrics", health.metrics, answer=str),
    Route("GET", f"{API}/pipelines", runs.pipelines),
    Route("GET", f"{API}/runs", runs.runs, query=runs.RunsQuery),
    Route("POST", f"{API}/runs", runs.start_run, body=runs.NewRun, status=201),
    Route("GET", f"{API}/runs/{{run}}", runs.run),
    Route("GET", f"{API}/runs/{{run}}/events", runs.events, answer=Any),
)
