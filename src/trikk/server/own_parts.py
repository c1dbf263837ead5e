"""The parts of a server, each set over what it works for: the code as it is now, and whether this server's counts.

Nothing is told to a part when the code changes: each looks at its turn whether it has taken in what there is. So a
turn that failed in between, for whatever reason, is only late.
"""

from __future__ import annotations

from functools import partial

from trikk.core.errors import TrikkError
from trikk.core.values import JSON
from trikk.server.parts import Part, PartStatus
from trikk.server.presence.looks import EVERY, Looks
from trikk.server.queue.backfill_queue import BackfillQueue
from trikk.server.queue.dispatcher import Dispatcher
from trikk.server.queue.warm_launcher import open_launcher
from trikk.server.site import Site
from trikk.server.sources_part import SourcesPart
from trikk.server.streams.streams_part import StreamsPart
from trikk.triggers.declaration import Overlap

_PART = "part "  # begins what is said of one
_LOOK_AGAIN = 2.0  # seconds: how soon a server notices that its release counts now


class PresencePart:
    """Beats, and tells the other servers of a new release and of what is wrong here."""

    name = "presence"

    def __init__(self, site: Site) -> None:
        self._site = site

    def turn(self, now: float) -> float:
        """Tell what is new; seconds until the next beat."""
        code, presence = self._site.code, self._site.presence
        if code.current.release != presence.server.release:
            presence.serve(code.current.release)
        trouble: JSON = None if code.trouble is None else {**code.trouble.to_json()}
        presence.say("code", trouble)
        stuck = ", ".join(self._site.turns.stuck())
        hang: JSON = {"what": f"these hang: {stuck}", "next": "restart the server"}
        presence.say(f"{_PART}turns", hang if stuck else None)
        return presence.turn(now)

    def close(self) -> None:
        """Leave in order."""
        self._site.presence.close()


def tell_of(site: Site, status: PartStatus) -> None:
    """Say with each beat how a part is that fails, so that an incident tells of it; nothing if it is well."""
    failing: JSON = {"what": status.what, "where": status.where, "next": status.next, "since": status.since}
    site.presence.say(f"{_PART}{status.name}", failing if status.failures else None)


def troubled(site: Site) -> list[str]:
    """The parts of a server that hang or fail."""
    failing = [about.removeprefix(_PART) for about in list(site.presence.server.says) if about.startswith(_PART)]
    return [*site.turns.stuck(), *failing]


class SchedulePart:
    """Has triggers looked at as long as this server's release counts, as its code declares them."""

    name = "schedule"

    def __init__(self, site: Site) -> None:
        self._site = site
        self.adopted = ""  # the release whose triggers the engine looks at

    def turn(self, now: float) -> float:
        """Decide what is due; seconds until the next turn."""
        code, standing = self._site.code.current, self._site.presence.standing
        if self._site.draining.is_set() or not (standing.may_fire and standing.mine == code.release):
            self.adopted = ""  # another release's triggers may be taken in meanwhile
            return _LOOK_AGAIN
        if self.adopted != code.release:
            self._site.engine.adopt(code.triggers, code.graphs, now)
            self.adopted = code.release
        return self._site.engine.turn(now)

    def close(self) -> None:
        """Let go of nothing: what is due stays due."""


class QueuePart:
    """Has runs driven that wait, or whose driver has died, by what the code declares that they take."""

    name = "queue"

    def __init__(self, site: Site, dispatcher: Dispatcher) -> None:
        self._site = site
        self._dispatcher = dispatcher
        self._learned = ""

    def turn(self, now: float) -> float:
        """Start what may start; seconds until the next look."""
        code, standing = self._site.code.current, self._site.presence.standing
        # Of two releases, the one whose triggers count says what runs take: it is written down for both.
        if code.release != self._learned and standing.may_fire and standing.mine == code.release:
            allowed = [
                name for name, declared in code.triggers.items() if declared.trigger.overlap is Overlap.ALLOW
            ]
            self._dispatcher.learn(code.graphs, allowed, now)
            self._learned = code.release
        return self._dispatcher.turn(now)

    def close(self) -> None:
        """Start no more; runs go on."""
        self._dispatcher.close()


def parts_of(site: Site, *, triggers: bool) -> list[Part]:
    """The parts of a server, in the order of starting.

    Args:
        site: the server's.
        triggers: whether it looks for what is due.

    Raises:
        UsageError: if the heartbeat's address can't be one.
    """

    def is_outdone() -> bool:
        return site.presence.standing.is_outdone

    def trouble() -> TrikkError | None:
        return site.code.trouble

    launcher = open_launcher(site.project, lambda: site.wake("queue"))
    dispatcher = Dispatcher(site.project, launcher, site.clock, site.draining.is_set, is_outdone, trouble)
    parts: list[Part] = [PresencePart(site), site.code, QueuePart(site, dispatcher), BackfillQueue(site)]
    if triggers:
        schedule = SchedulePart(site)
        parts += [schedule, SourcesPart(site, lambda: schedule.adopted), StreamsPart(site)]
    settings = site.project.settings.server
    if site.project.settings.targets:
        from trikk.server.mirror_part import MirrorPart

        parts.append(MirrorPart(site))
    # By older code, incidents of newer rules would end.
    parts.append(Looks(site.code, site.clock, launcher, lambda: not is_outdone(), settings.get("look", EVERY)))
    if "heartbeat" in settings:
        from trikk.server.presence.heartbeat import Heartbeat  # with the clients of HTTP, 3 MB

        parts.append(Heartbeat(settings["heartbeat"], site.clock, partial(troubled, site)))
    return parts
