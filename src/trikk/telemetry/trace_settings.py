"""Whether a project's spans are sent, and where to: by the standard variables, else by `[telemetry]`."""

from __future__ import annotations

import functools
import os
from typing import Any

from trikk.core.settings import Settings

_PATH = "v1/traces"
_DEFAULT = "http://localhost:4318/"


def traces_endpoint(settings: Settings) -> str | None:
    """The URL that spans are posted to (OTLP over HTTP); None if they are not sent.

    Raises:
        ProjectError: if a variable that trikk.toml names is not set.
    """
    variables = os.environ
    exporter = variables.get("OTEL_TRACES_EXPORTER", "")
    if variables.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporter not in ("", "otlp"):
        return None
    if given := variables.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        return given
    base = variables.get("OTEL_EXPORTER_OTLP_ENDPOINT") or settings.filled(
        "telemetry.endpoint", settings.telemetry.get("endpoint", "")
    )
    base = base or (_DEFAULT if exporter else "")
    return f"{base.rstrip('/')}/{_PATH}" if base else None


def resource_attributes(settings: Settings) -> dict[str, str]:
    """What the spans' resource is called, where OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say nothing."""
    is_named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    named = {} if is_named else {"service.name": settings.telemetry.get("service", settings.name)}
    return {**named, "trikk.project": settings.name}


def is_sampled(trace: str) -> bool:
    """Whether the spans of a trace are sent, as OTEL_TRACES_SAMPLER says; all are if it says nothing."""
    if "OTEL_TRACES_SAMPLER" not in os.environ:
        return True
    return bool(_sampler().should_sample(None, int(trace, 16), "run").decision.is_sampled())


@functools.cache
def _sampler() -> Any:
    from opentelemetry.sdk.trace import TracerProvider

    return TracerProvider(shutdown_on_exit=False).sampler  # the SDK's own reading of the variables
