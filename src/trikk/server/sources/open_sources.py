"""The sources of a project's triggers, as they are declared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from trikk.core.clock import Clock, SystemClock
from trikk.core.errors import TrikkError
from trikk.execution.project import Project
from trikk.pipeline.parameters.trigger_event import Event
from trikk.publishing.broker_address import Transport
from trikk.server.sources.files.bucket_place import BucketPlace
from trikk.server.sources.files.file_source import FileSource, Place
from trikk.server.sources.files.folder_place import FolderPlace
from trikk.server.sources.messages.message_address import reading_address
from trikk.server.sources.run_source import RunFeed, RunSource
from trikk.server.sources.source import Source
from trikk.server.sources.source_memory import Memory
from trikk.server.sources.source_threads import Deliver, SourceThreads
from trikk.server.sources.table_source import TableSource
from trikk.triggers.declared import Declared
from trikk.triggers.event_triggers import AfterRun, FileArrived, Message, TableChanged
from trikk.triggers.trigger_state import TriggerState, subject_of


class UnusableSource:
    """A source that can't be opened, such as one whose address names a variable that is not set: it says so."""

    every = 60.0
    set_aside = (0, "")

    def __init__(self, trigger: str, error: TrikkError) -> None:
        self.trigger = trigger
        self.place = f"trigger {trigger}"
        self._error = error

    def look(self) -> list[Event]:
        """Raises what is wrong."""
        raise self._error

    def settle(self, events: Sequence[Event]) -> None:
        """There never is anything to settle."""

    def close(self) -> None:
        """There is nothing to give back."""


def open_sources(
    project: Project,
    declared: Iterable[Declared],
    deliver: Deliver,
    clock: Clock | None = None,
) -> SourceThreads:
    """The sources of those triggers that something brings; they begin with `start`.

    The triggers must have been adopted: what is remembered for one belongs to its adoption. When what is declared
    has changed, close the sources and open them anew; those of triggers that are as they were go on as before.

    Args:
        project: the project.
        declared: its triggers.
        deliver: starts a trigger's run for an event, or finds that it has one; False if not now.
        clock: for pauses and the moments of events.
    """
    clock = clock or SystemClock()
    feed = RunFeed(project.journal, clock)
    sources: list[Source] = []
    for each in declared:
        try:
            source = _opened(project, each, feed, clock)
        except TrikkError as error:
            source = UnusableSource(each.name, error)
        if source is not None:
            sources.append(source)
    return SourceThreads(sources, deliver, clock)


def place_of(root: Path, pattern: str) -> Place:
    """The folder or bucket that a pattern of `FileArrived` means, in a project of that folder."""
    return BucketPlace(pattern) if "://" in pattern else FolderPlace(root, pattern)


def _opened(project: Project, declared: Declared, feed: RunFeed, clock: Clock) -> Source | None:
    """The source of a trigger; None for one that comes due by the clock or a call."""
    name, trigger = declared.name, declared.trigger
    state = TriggerState.of(project.journal.last(subject_of(name)))
    memory = Memory(project.journal, name, state.adopted if state is not None else "")
    if isinstance(trigger, AfterRun):
        return RunSource(name, trigger.after, trigger.state, feed, memory, clock)
    if isinstance(trigger, TableChanged):
        far = "://" in project.settings.location("tables")
        return TableSource(name, trigger.table, project.tables, memory, clock, every=5.0 if far else 1.0)
    if isinstance(trigger, FileArrived):
        place = place_of(project.root, trigger.pattern)
        return FileSource(name, place, memory, clock, float(trigger.settle))
    if isinstance(trigger, Message):
        return _messages(project, trigger, memory, clock)
    return None


def _messages(project: Project, trigger: Message, memory: Memory, clock: Clock) -> Source:
    address, name = reading_address(trigger.address), project.settings.name
    if address.kind is Transport.MQTT:
        from trikk.server.sources.messages.mqtt_source import MqttSource

        return MqttSource(trigger.name, name, address, project.journal, memory, clock, trigger.id)
    from trikk.server.sources.messages.kafka_batches import Batches
    from trikk.server.sources.messages.kafka_source import KafkaSource

    batches = Batches(trigger.batch, float(trigger.within)) if trigger.batch > 1 else None
    return KafkaSource(trigger.name, name, address, memory, clock, batches)
