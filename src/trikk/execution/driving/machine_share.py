"""What the steps of several drivers take of one machine together, so that they do not each take all of it.

A part of the machine is a byte of a file; who uses it has it locked. Locks are the kernel's (fcntl(2)): they go
with the process that has them, however it ends. So there is nothing to tidy up, and nobody waits for the dead. A
driver takes all that a step needs or nothing, so that two never wait for each other.

A step that needs much would be overtaken again and again by those that need little. So a driver that waits takes a
turn: the others start nothing meanwhile. It is over after a while, since what it waits for may take hours.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import math
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from trikk.core.clock import Clock
from trikk.execution.driving.limits import Capacity

LOOK_EVERY = 0.02
"""Seconds between two looks of a driver that waits."""
_TURN_SECONDS = 30.0  # that a turn counts; after as many again the same driver may take another
_PER_CORE = 4  # parts of a core
_MEMORY = 512  # parts of the machine's memory
_TURN = 0  # the place in the file of the turn
_APART = 1 << 20  # places of the first part of each kind; far more than there are parts


class MachineShare:
    """What one driver has of a machine.

    Attributes:
        is_waiting: whether it was last refused.

    Args:
        file: the same for all drivers of the machine; made if it is not there.
        whole: the machine.
        clock: time.

    Raises:
        OSError: if the file can't be opened.
    """

    def __init__(self, file: Path, whole: Capacity, clock: Clock) -> None:
        self.is_waiting = False
        self._clock = clock
        self._whole = whole
        self._taken: set[int] = set()
        self._turn_ends: float | None = None  # monotonic; None if it is not this driver's turn
        self._no_turn_before = 0.0
        self._blocked_since: float | None = None  # monotonic: since when it was seen to be another's turn
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self, need: tuple[float, float, int]) -> frozenset[int] | None:
        """Take cores, bytes of memory and accelerators; None if so much is not free, or it is another's turn."""
        if self._turn_ends is None and self._is_blocked():
            self._wait()
            return None
        whole = self._whole
        parts = (
            (math.ceil(need[0] * _PER_CORE), math.floor(whole.cpus * _PER_CORE)),
            (math.ceil(need[1] / whole.memory * _MEMORY), _MEMORY),
            (need[2], whole.gpus),
        )
        taken: list[int] = []
        for kind, (count, size) in enumerate(parts):
            wanted = min(count, size)
            some = list(islice(self._free(kind, size), wanted))
            taken += some
            if len(some) < wanted:
                self.give(taken)
                self._wait()
                return None
        self.wait_no_more()
        return frozenset(taken)

    def give(self, taken: Iterable[int]) -> None:
        """Give back what was taken."""
        for place in taken:
            self._unlock(place)
            self._taken.discard(place)

    def wait_no_more(self) -> None:
        """Let others have their turn: this driver needs no more just now."""
        self.is_waiting = False
        if self._turn_ends is not None:
            self._turn_ends = None
            self._unlock(_TURN)

    def _wait(self) -> None:
        now, self.is_waiting = self._clock.monotonic(), True
        if self._turn_ends is None:
            if now >= self._no_turn_before and self._lock(_TURN):
                self._turn_ends = now + _TURN_SECONDS
        elif now >= self._turn_ends:
            self._turn_ends, self._no_turn_before = None, now + _TURN_SECONDS
            self._unlock(_TURN)

    def _is_blocked(self) -> bool:
        """Whether it is another's turn, which counts for so long only: one that was stopped would keep it."""
        if self._lock(_TURN):
            self._unlock(_TURN)
            self._blocked_since = None
            return False
        now = self._clock.monotonic()
        self._blocked_since = now if self._blocked_since is None else self._blocked_since
        return now < self._blocked_since + _TURN_SECONDS

    def _free(self, kind: int, size: int) -> Iterator[int]:
        """Lock one free part of a kind after the other."""
        first = (kind + 1) * _APART
        for place in range(first, first + size):
            # A process may lock again what it has: then it would count a part of its own twice.
            if place not in self._taken and self._lock(place):
                self._taken.add(place)
                yield place

    def _lock(self, place: int) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except OSError as error:
            # On a file system without locks each driver has the whole machine.
            return error.errno not in (errno.EACCES, errno.EAGAIN)
        return True

    def _unlock(self, place: int) -> None:
        with contextlib.suppress(OSError):
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)
