"""Whether a project is served, and by whom: asked by the rules on what servers do."""

from __future__ import annotations

from trikk.alerts.rules.rule import DAY, Scene
from trikk.runs.journals.server_beats import Server
from trikk.runs.living_servers import living

_FORGOTTEN_AFTER = 7 * DAY


def known_servers(scene: Scene) -> list[Server]:
    """The servers of the project, those that are gone too; none if the last one has long been given up."""
    servers = scene.project.journal.servers()
    now = scene.now.timestamp()
    return servers if any(now - server.at < _FORGOTTEN_AFTER for server in servers) else []


def living_servers(scene: Scene) -> list[Server]:
    """Those that are there."""
    return living(known_servers(scene), scene.now.timestamp())
