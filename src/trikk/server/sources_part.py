"""The sources of a server's triggers: opened when its triggers were taken in, and anew when they have changed."""

from __future__ import annotations

import threading
from collections.abc import Callable

from trikk.core.clock import iso
from trikk.core.errors import UsageError
from trikk.core.values import JSON
from trikk.pipeline.parameters.trigger_event import Event
from trikk.server.site import Site
from trikk.server.sources.open_sources import open_sources
from trikk.server.sources.source_threads import SourceThreads
from trikk.server.sources.webhook_keys import webhook_keys
from trikk.triggers.event_triggers import Webhook

_SOON = 0.05  # seconds: the schedule is about to take the triggers in
_LOOK_AGAIN = 2.0  # seconds: how soon a server notices that its triggers are others


class SourcesPart:
    """Has sources looked at as long as this server's triggers count.

    Args:
        site: the server's.
        adopted: the release whose triggers were taken in; "" if none of this server's count.

    Attributes:
        begun: set when each source was looked at once, or is not this server's to look at: what arrives from then
            on is new. A server says only then that it serves.
    """

    name = "sources"

    def __init__(self, site: Site, adopted: Callable[[], str]) -> None:
        self._site = site
        self._adopted = adopted
        self._threads: SourceThreads | None = None
        self._opened, self._opened_at = "", 0.0
        self._told: set[str] = set()
        self.begun = threading.Event()

    def turn(self, now: float) -> float:  # noqa: ARG002 - sources have the clock
        """Open what is to be looked at, and say what is away; seconds until the next turn."""
        adopted = self._adopted()
        if adopted != self._opened:
            self.close()
            if adopted:  # in this order: a source remembers since when its trigger was taken in
                triggers = self._site.engine.declared.values()
                self._threads = open_sources(self._site.project, triggers, self._deliver, self._site.clock)
                self._threads.start()
            self._opened, self._opened_at = adopted, self._site.clock.now()
        self._tell()
        if not adopted and self._site.code.current.release and self._site.presence.standing.may_fire:
            return _SOON
        self.begun.set()
        return _LOOK_AGAIN

    def close(self) -> None:
        """Look at nothing any more; what was not handed over comes again."""
        if self._threads is not None:
            self._threads.close()
        self._threads, self._opened = None, ""
        self._tell()

    def _deliver(self, trigger: str, event: Event) -> bool:
        return not self._site.engine.deliver(trigger, event, self._site.clock.now()).waits

    def _tell(self) -> None:
        """Say with each beat which sources can't be looked at, so that an incident tells of them."""
        health = self._threads.health() if self._threads is not None else {}
        away: dict[str, JSON] = {
            trigger: {"what": each.why, "next": each.next, "since": iso(each.away_since)}
            for trigger, each in health.items()
            if each.away_since is not None
        }
        away |= self._without_keys()
        for trigger in {*away, *self._told}:
            self._site.presence.say(f"source {trigger}", away.get(trigger))
        self._told = set(away)

    def _without_keys(self) -> dict[str, JSON]:
        """Webhooks that can take no call: nobody would know before somebody calls, and then only the caller."""
        broken: dict[str, JSON] = {}
        for name, declared in self._site.engine.declared.items() if self._threads is not None else ():
            if isinstance(declared.trigger, Webhook):
                try:
                    webhook_keys(declared.trigger, declared.where)
                except UsageError as error:
                    broken[name] = {"what": error.what, "next": error.next, "since": iso(self._opened_at)}
        return broken
