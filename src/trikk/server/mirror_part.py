"""The part of a server that takes what engines elsewhere do for the project into its journal."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from trikk.core.errors import TrikkError
from trikk.server.site import Site

if TYPE_CHECKING:
    from trikk.targets.mirroring.project_mirror import ProjectMirror

_EVERY = 10.0  # seconds; a job of such an engine takes minutes to begin
_log = logging.getLogger("trikk.server")


class MirrorPart:
    """Mirrors the executions that are not over; of several servers, whichever comes first.

    Args:
        site: the server's.
    """

    name = "mirror"

    def __init__(self, site: Site) -> None:
        self._site = site
        self._mirror: ProjectMirror | None = None
        self._troubles: dict[str, str] = {}  # by execution what was said of it last

    def turn(self, now: float) -> float:  # noqa: ARG002 - the port's
        """Look into the exchanges; seconds until the next look."""
        if self._site.draining.is_set():
            return _EVERY
        if self._mirror is None:
            from trikk.targets.mirroring.project_mirror import ProjectMirror

            self._mirror = ProjectMirror(self._site.project, self._site.clock)
        troubles: dict[str, str] = {}
        for look in self._mirror.look():
            if isinstance(look, TrikkError):
                place, text = look.where or "", str(look)
                troubles[place] = text
                if self._troubles.get(place) != text:
                    _log.warning("an execution elsewhere can't be taken in for now: %s", text)
        self._troubles = troubles
        return _EVERY

    def close(self) -> None:
        """Nothing is kept."""
