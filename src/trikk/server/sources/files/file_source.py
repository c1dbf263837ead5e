"""Files of a folder, and objects of a bucket, that have arrived.

What is known of them is in the ledger as keys of eight bytes: all that were there when the trigger was adopted,
then what each look has settled, and now and then all again, so that a server that starts reads little.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from trikk.core.clock import Clock
from trikk.core.text import printable, shorten
from trikk.pipeline.parameters.trigger_event import Event
from trikk.runs.journals.ledger import Entry
from trikk.server.sources.files.arrived_files import KEY_BYTES, ArrivedFiles, FolderMissing, Listed, keys_of
from trikk.server.sources.source_memory import Kind, Memory

_ENTRIES = 1_000  # that a start reads at least, before all keys are written in one
_AT_ONCE = 500  # files that one look gives: the next gives the rest


class Place(Protocol):
    """A folder or bucket.

    Attributes:
        label: what it is called.
        every: seconds between two looks.
        ignored: how many names of the last listing can't be files of ours, and the last of them with the reason.
    """

    label: str
    every: float
    ignored: tuple[int, str]

    def list(self) -> list[Listed]:
        """All files that are meant; TrikkError or OSError if the place is away."""

    def path(self, name: str) -> str:
        """Where a file is, for the run that is told of it."""


class FileSource:
    """The files of a place, as a source of events; arguments as of `Source` and `Memory`.

    Args:
        trigger: the trigger's name.
        place: what is listed.
        memory: what was known before.
        clock: for the moments of events, and for how long a file has not changed.
        settle: seconds for which a file must not change.
    """

    def __init__(self, trigger: str, place: Place, memory: Memory, clock: Clock, settle: float = 3.0) -> None:
        self.trigger = trigger
        self.place = place.label
        self.every = place.every
        self._listed = place
        self._memory = memory
        self._clock = clock
        self._settle = settle
        self._files: ArrivedFiles | None = None
        self._given: dict[str, bytes] = {}
        self._start = 0  # the entry with all keys from which the others follow
        self._entries = 0  # since then

    @property
    def set_aside(self) -> tuple[int, str]:
        """How many names of the last listing can't be files of ours, and the last of them with the reason."""
        return self._listed.ignored

    def look(self) -> list[Event]:
        """The files that have arrived; the first look of all gives none, since what it sees was there before."""
        try:
            listing = self._listed.list()
        except FolderMissing:
            if self._files is None:
                self._remember([])  # where no folder is, no file was: the first that will be there is new
            raise
        if self._files is None:
            self._remember(listing)
        assert self._files is not None
        arrivals = self._files.look(listing, self._clock.monotonic())[:_AT_ONCE]
        at = datetime.fromtimestamp(self._clock.now(), UTC)
        events = [arrival_event(self._listed, arrival.file, at) for arrival in arrivals]
        self._given = {event.id: arrival.key for event, arrival in zip(events, arrivals, strict=True)}
        return events

    def settle(self, events: Sequence[Event]) -> None:
        """Remember that these have their run."""
        assert self._files is not None
        keys = [self._given[event.id] for event in events]
        self._files.add(keys)
        body: dict[str, Any] = {"keys": b"".join(keys).hex(), "from": self._start}
        whole = self._entries >= max(_ENTRIES, len(self._files) // 10)
        if whole:
            self._files.trim()
            body = {"keys": b"".join(self._files.keys()).hex()}
        entry = self._memory.begin_or_move(Kind.MOVED, body, self._clock.now())
        if entry is None:  # another server has written meanwhile; its entries may hold these keys too
            self._files.add(_keys(self._load()))
            entry = self._memory.begin_or_move(Kind.MOVED, body | {"from": self._start}, self._clock.now())
        if entry is not None:  # else the next process gives them once more, and they are found to be written down
            self._entries = 0 if whole else self._entries + 1
            self._start = entry.seq if whole else self._start

    def close(self) -> None:
        """There is nothing to give back."""

    def _remember(self, listing: list[Listed]) -> None:
        """Read what was known before; what is there now, if the trigger was adopted just now."""
        entries = self._load()
        if not entries:
            body: dict[str, Any] = {"keys": b"".join(keys_of(listing)).hex()}
            self._memory.begin_or_move(Kind.BEGUN, body, self._clock.now())
            entries = self._load()  # of this server or of another that was faster: its list counts
        self._files = ArrivedFiles(_keys(entries), self._settle)

    def _load(self) -> list[Entry]:
        latest = self._memory.latest()
        if latest is None:
            return []
        start = latest.get("from")
        entries = self._memory.since(start if isinstance(start, int) else self._memory.newest)
        self._start, self._entries = entries[0].seq, len(entries) - 1
        return entries


def arrival_event(place: Place, file: Listed, at: datetime) -> Event:
    """The arrival of a file as it was listed, whoever has noticed it, and when."""
    (key,) = keys_of([file])
    identity = f"{shorten(printable(file.name), 120)}@{key.hex()}"
    return Event(id=identity, kind="file-arrived", at=at, path=place.path(file.name), size=file.size)


def _keys(entries: list[Entry]) -> list[bytes]:
    texts = (bytes.fromhex(str(entry.body["keys"])) for entry in entries)
    return [text[i : i + KEY_BYTES] for text in texts for i in range(0, len(text), KEY_BYTES)]
