"""prometheus_client, imported so that it counts in memory, whatever the environment is set up for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from trikk.core.errors import MissingExtra

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_SHARED = "PROMETHEUS_MULTIPROC_DIR"


def new_registry(purpose: str, extra: str) -> CollectorRegistry:
    """A registry of one's own.

    The library chooses at its import: with the variable set it writes files there, named by the process's id, and
    in a container, where that is always the same, a server would begin with the counts of the one before.

    Raises:
        MissingExtra: if it is not installed, with what it is for and the extra that brings it.
    """
    folder = os.environ.pop(_SHARED, None)
    try:
        import prometheus_client
    except ImportError:
        raise MissingExtra(purpose, extra) from None
    finally:
        if folder is not None:
            os.environ[_SHARED] = folder
    # Else each counter and histogram has a second series, of when it began.
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
    return prometheus_client.CollectorRegistry()


def samples(registry: CollectorRegistry) -> tuple[bytes, str]:
    """All of it in Prometheus' text format, and the media type that says so."""
    from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4
