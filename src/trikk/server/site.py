"""What all parts of one server share: its project, what its code declares, the other servers, word of its end."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from trikk.core.clock import Clock, SystemClock
from trikk.core.values import JSON
from trikk.execution.project import Project
from trikk.models.registry import Registry
from trikk.runs.journals.server_beats import NO_TRIGGERS
from trikk.server.presence.absence import note_absence
from trikk.server.presence.beats import Presence
from trikk.server.presence.served_code import CodeSet, ServedCode
from trikk.server.presence.turns import Turns
from trikk.server.schedule.engine import Engine
from trikk.server.schedule.trigger_standing import taken_in

if TYPE_CHECKING:
    from trikk.execution.approvals.approvals_memory import ApprovalsMemory
    from trikk.mailing.topics.subscriptions import AllSubscriptions
    from trikk.pipeline.graph import Graph
    from trikk.server.streams.stream_set_aside import SetAsideMemory
    from trikk.timeline.happenings import Happenings
    from trikk.triggers.declared import Declared


class Site:
    """One server's project, as its parts see it. Safe to use from any thread.

    Args:
        project: the project.
        clock: time; the machine's if not given.
        fires: whether it fires triggers.

    Attributes:
        project: whose server it is.
        clock: time.
        code: the project's code as it was last described.
        turns: when each part has last been round.
        presence: this server among the others of the project.
        engine: decides what is due.
        models: the registry, which reads of each model what is new since it was last asked.
        draining: set when the server is to end: nothing new is begun.
    """

    def __init__(self, project: Project, clock: Clock | None = None, *, fires: bool = True) -> None:
        self.project = project
        self.clock: Clock = clock or SystemClock()
        self.draining = threading.Event()
        self.code = ServedCode(project.settings, self.clock, self.wake_all)
        self.turns = Turns(self.clock)
        self.presence = Presence(project.journal, self.clock)
        self.engine = Engine(project, lambda: self.wake("queue"))
        self.models = Registry(project.journal)
        self._says: dict[str, JSON] = {} if fires else {NO_TRIGGERS: True}
        self._wakers: dict[str, Callable[[], None]] = {}

    @functools.cached_property
    def happenings(self) -> Happenings:
        """What happened, in memory; each look reads what is new, as of the next three."""
        from trikk.timeline.happenings import Happenings  # when it is asked for: a server at rest does without

        return Happenings(self.project.journal, self.project.settings.environment)

    @functools.cached_property
    def subscriptions(self) -> AllSubscriptions:
        """Who subscribes to what."""
        from trikk.mailing.topics.subscriptions import AllSubscriptions

        return AllSubscriptions(self.project.journal)

    @functools.cached_property
    def set_aside(self) -> SetAsideMemory:
        """Which messages of streams are set aside."""
        from trikk.server.streams.stream_set_aside import SetAsideMemory

        return SetAsideMemory(self.project.journal)

    @functools.cached_property
    def approvals(self) -> ApprovalsMemory:
        """What runs ask."""
        from trikk.execution.approvals.approvals_memory import ApprovalsMemory

        return ApprovalsMemory(self.project.journal)

    @property
    def name(self) -> str:
        """What tells this server from others of the project, and from the one before on this machine."""
        return self.presence.server.id

    def begin(self) -> None:
        """Read the code, and say to the other servers that this one is there.

        Raises:
            JournalError: if the journal can't be written. Code that does not load is no reason not to serve.
        """
        self.code.read()
        known = self.presence.start(self.code.current.release, self._says)
        note_absence(self.project.journal, known, self.code.current.triggers, self.clock.now())

    def graphs(self) -> Mapping[str, Graph]:
        """The project's pipelines by name, as they were when its code could last be loaded.

        Raises:
            TrikkError: if it never could.
        """
        return self._loaded().graphs

    def triggers(self) -> Mapping[str, Declared]:
        """Its triggers by name, likewise."""
        return self._loaded().triggers

    def known_triggers(self) -> Mapping[str, Declared]:
        """Its triggers by name; those of an earlier server if this one could never load the code."""
        return self.code.current.triggers if self.code.current.release else taken_in(self.project.journal)

    def _loaded(self) -> CodeSet:
        current, trouble = self.code.current, self.code.trouble
        if not current.release and trouble is not None:
            raise trouble
        return current

    def on_wake(self, part: str, wake: Callable[[], None]) -> None:
        """Say how a part is given its next turn at once."""
        self._wakers[part] = wake

    def wake(self, part: str) -> None:
        """Give a part its next turn at once; nothing happens if this server does not have it."""
        if waker := self._wakers.get(part):
            waker()

    def wake_all(self) -> None:
        """Give all parts their next turns at once."""
        for waker in list(self._wakers.values()):
            waker()
