"""The part of a server that reads streams: a thread for each, by trikk.toml as it stands now."""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import TYPE_CHECKING

from trikk.core.clock import Clock
from trikk.core.settings import FILE, load_settings
from trikk.core.text import printable
from trikk.core.values import JSON
from trikk.execution.project import Project
from trikk.publishing.broker_address import Transport
from trikk.server.site import Site
from trikk.server.sources.messages.message_address import reading_address
from trikk.streams.stream_declaration import Stream, declared_streams
from trikk.streams.stream_state import SAYS, StreamState, StreamStatus

if TYPE_CHECKING:
    from trikk.server.streams.stream_reader import StreamReader

_LOOK_AGAIN = 2.0  # seconds: how soon a server notices that the file is another
_TELL_EVERY = 10.0  # seconds, as often as a server beats: each batch would be a write to the journal
_NOTHING_TO_TELL = (StreamState.BEGINS, StreamState.ELSEWHERE)
_END = 5.0  # seconds that a thread has for its last commit
_log = logging.getLogger("trikk.server")


def open_reader(project: Project, stream: Stream, clock: Clock) -> StreamReader:
    """The reader of a stream; TrikkError if its address names a variable that is not set."""
    # Here, as where the work is imported: they bring polars, which a server without streams does not need.
    if stream.is_files:
        from trikk.server.streams.file_reader import FileReader

        return FileReader(stream.name, project.root, stream.source, clock)
    address = reading_address(stream.source)
    if address.kind is Transport.MQTT:
        from trikk.server.streams.mqtt_reader import MqttReader

        session = f"trikk-{project.settings.name}-stream-{stream.name}"
        return MqttReader(address, session, stream.rows, stream.every, clock)
    from trikk.server.streams.kafka_reader import KafkaReader

    return KafkaReader(address, clock)


class StreamThread:
    """The thread of one stream.

    Args:
        project: the project.
        stream: as it is declared.
        clock: time.
    """

    def __init__(self, project: Project, stream: Stream, clock: Clock) -> None:
        from trikk.server.streams.stream_work import StreamWork

        self.stream = stream
        self._ended = threading.Event()
        opened = partial(open_reader, project, stream, clock)
        self._work = StreamWork(stream, opened, project.tables, project.journal, clock, self._ended.is_set)
        self._thread = threading.Thread(target=self._run, name=f"stream {stream.name}"[:60], daemon=True)
        self._thread.start()

    @property
    def status(self) -> StreamStatus:
        """How it is."""
        return self._work.status

    def end(self) -> None:
        """Have it come to its end."""
        self._ended.set()

    def join(self) -> None:
        """Wait some seconds for its end; a thread that hangs ends with the process, its messages come again."""
        self._thread.join(_END)

    def _run(self) -> None:
        before = ""
        while not self._ended.is_set():
            pause = self._work.turn()
            if self.status.what != before:
                _log.warning("stream %s: %s", self.stream.name, self.status.what or "all is well again")
                before = self.status.what
            self._ended.wait(pause)
        try:
            self._work.close()
        except Exception as error:  # noqa: BLE001 - a library's, or a journal that is away: the next server waits for it
            _log.warning("stream %s could not be closed: %s", self.stream.name, printable(str(error)))


class StreamsPart:
    """Has streams read as long as this server's release counts.

    Args:
        site: the server's.
    """

    name = "streams"

    def __init__(self, site: Site) -> None:
        self._site = site
        self._threads: dict[str, StreamThread] = {}
        self._told: set[str] = set()
        self._marks: set[tuple[object, ...]] = set()  # of what was told last
        self._tell_at = 0.0
        self._stamp: tuple[int, int] | None = None
        self._declared: dict[str, Stream] = {}

    def turn(self, now: float) -> float:  # noqa: ARG002 - streams have the clock
        """Begin and end streams as trikk.toml has them, and tell how they are; seconds until the next turn."""
        may_read = self._site.presence.standing.may_fire and not self._site.draining.is_set()
        wanted = self._read() if may_read else {}
        gone = [thread for name, thread in self._threads.items() if wanted.get(name) != thread.stream]
        self._end(gone)
        for name, stream in wanted.items():
            if name not in self._threads:
                self._threads[name] = StreamThread(self._site.project, stream, self._site.clock)
        self._tell()
        return _LOOK_AGAIN

    def statuses(self) -> list[StreamStatus]:
        """How the streams are that this server knows."""
        return [thread.status for thread in list(self._threads.values())]

    def close(self) -> None:
        """Read nothing any more."""
        self._end(list(self._threads.values()))
        self._tell()

    def _read(self) -> dict[str, Stream]:
        """The streams that trikk.toml declares now; errors as of `declared_streams`, then all go on as before."""
        root = self._site.project.root
        about = (root / FILE).stat()
        stamp = (about.st_mtime_ns, about.st_size)
        if stamp != self._stamp:
            self._declared = declared_streams(load_settings(root))
            self._stamp = stamp
        return self._declared

    def _end(self, threads: list[StreamThread]) -> None:
        for thread in threads:
            thread.end()
        for thread in threads:
            thread.join()
            del self._threads[thread.stream.name]

    def _tell(self) -> None:
        """Say with the beats how the streams are that this server reads, and which are in trouble."""
        statuses = [each for each in self.statuses() if each.state not in _NOTHING_TO_TELL]
        marks: set[tuple[object, ...]] = {
            (s.stream, s.state, s.what, s.set_aside, s.last is None) for s in statuses
        }
        if marks == self._marks and self._site.clock.monotonic() < self._tell_at:
            return
        self._tell_at = self._site.clock.monotonic() + _TELL_EVERY
        says: dict[str, JSON] = {}
        for status in statuses:
            says[f"{SAYS}{status.stream}"] = status.to_json()
            if status.what:
                trouble: JSON = {"what": status.what, "next": status.next, "since": status.since}
                says[f"source stream/{status.stream}"] = trouble
        for about in {*says, *self._told}:
            self._site.presence.say(about, says.get(about))
        self._told, self._marks = set(says), marks
