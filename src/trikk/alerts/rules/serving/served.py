"""Whether a project is served: asked by the rules on what servers do."""

from __future__ import annotations

from trikk.alerts.rules.rule import DAY, Scene

_FORGOTTEN_AFTER = 7 * DAY


def is_served(scene: Scene) -> bool:
    """Whether the project has servers; not if the last one has long been given up."""
    now = scene.now.timestamp()
    return any(now - server.at < _FORGOTTEN_AFTER for server in scene.servers)
