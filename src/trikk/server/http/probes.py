"""The routes that monitoring asks; the handlers of the others are imported when one of them is first asked for."""

from __future__ import annotations

from trikk.server.http.handlers.health_handlers import healthz, metrics, readyz
from trikk.server.http.routes import TEXT_TYPE, Route

PROBES = (
    Route("GET", "/healthz", healthz, is_open=True),
    Route("GET", "/readyz", readyz, statuses=(200, 503), is_open=True),
    Route("GET", "/metrics", metrics, content=TEXT_TYPE),
)
