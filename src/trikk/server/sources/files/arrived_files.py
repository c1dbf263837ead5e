"""Which files of a listing have arrived: new since the trigger was adopted, and no longer growing. Pure.

A file is known by its name, its size and what changes whenever it is written (`Listed.stamp`). So one that is
written again is another arrival, even with the same bytes: a flag that somebody sets each night is seen each
night. One that was moved away and back, or copied with its times, is the same. It has arrived when two looks,
`settle` seconds apart at least, have seen it equal: each write in between makes it another one, for which the
time begins again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from trikk.core.digests import short_digests
from trikk.core.errors import StorageError

KEY_BYTES = 8
KEPT = 100_000
"""So many files that are no longer there are remembered at least, in case they come back."""


class Listed(NamedTuple):
    """A file or object as a look has seen it.

    Attributes:
        name: its path or key.
        size: bytes.
        stamp: differs after each write: the time of the change, and for an object its ETag.
    """

    name: str
    size: int
    stamp: str


class FolderMissing(StorageError):
    """There is no such folder; any other place that can't be listed may have files in it."""


class Arrival(NamedTuple):
    """A file that has arrived, and the key by which it is known."""

    file: Listed
    key: bytes


class ArrivedFiles:
    """What is known of a place's files, and which of them are being watched.

    Args:
        known: the keys of files that do not arrive any more: they were there, or had their run.
        settle: seconds for which a file must not change.
    """

    def __init__(self, known: Iterable[bytes], settle: float) -> None:
        self._known = dict.fromkeys(known)  # in the order in which they came
        self._settle = settle
        self._watched: dict[bytes, float] = {}
        self._present: list[bytes] = []

    def __len__(self) -> int:
        return len(self._known)

    def look(self, listing: list[Listed], at: float) -> list[Arrival]:
        """The files that have arrived, until they are added, sorted by name.

        Args:
            listing: all files of the place.
            at: the time of the look by a clock that never jumps, seconds.
        """
        arrivals: list[Arrival] = []
        watched: dict[bytes, float] = {}
        self._present = keys_of(listing)
        for key, file in zip(self._present, listing, strict=True):
            if key in self._known:
                continue
            since = watched[key] = self._watched.get(key, at)
            if key in self._watched and at - since >= self._settle:
                arrivals.append(Arrival(file, key))
        self._watched = watched  # without those that are gone, or were written meanwhile
        return sorted(arrivals)

    def add(self, keys: Iterable[bytes]) -> None:
        """Take in files that do not arrive any more."""
        self._known.update(dict.fromkeys(keys))

    def trim(self) -> None:
        """Forget the oldest of the files that are gone, if there are far more of them than are remembered.

        A place that is away for a while looks empty, or is a folder on which nothing is mounted: if what is gone
        were forgotten at once, all of it would arrive when it is back.
        """
        stay = set(self._present)
        gone = [key for key in self._known if key not in stay]
        if len(gone) > 2 * KEPT:
            for key in gone[:-KEPT]:
                del self._known[key]

    def keys(self) -> list[bytes]:
        """The keys of all that is known, the oldest first."""
        return list(self._known)


def keys_of(listing: Iterable[Listed]) -> list[bytes]:
    """The key of each file: a digest of all that it is known by."""
    # A NUL is in no name of a file, and a lone surrogate stands for a byte that is no UTF-8.
    texts = (f"{file.name}\0{file.size}\0{file.stamp}".encode("utf-8", "surrogatepass") for file in listing)
    return short_digests(texts, KEY_BYTES)
