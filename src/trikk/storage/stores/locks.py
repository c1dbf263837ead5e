"""A lock between processes of one machine that the kernel frees when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trikk.core.errors import StorageError


@contextmanager
def file_lock(path: Path, *, timeout: float = 600.0) -> Iterator[None]:
    """Hold the lock file `path` exclusively; its folder is made if it is missing.

    The file stays when the lock is freed: removing it would let two holders in. It is freed explicitly, so that
    a forked child that inherited the file does not keep it.

    Args:
        path: the lock file, created empty; it holds the process id of the last holder, for people.
        timeout: seconds to wait for another holder.

    Raises:
        StorageError: if another process still holds the lock after `timeout` seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _acquire(handle, path, timeout)
        try:
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)
    finally:
        os.close(handle)


def is_locked(path: Path) -> bool:
    """Whether a process of this machine holds the lock file; nobody holds one that is not there."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _acquire(handle: int, path: Path, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    pause = 0.001
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            left = deadline - time.monotonic()
        if left <= 0:
            holder = os.pread(handle, 20, 0).decode(errors="replace") or "unknown"
            raise StorageError(
                f"process {holder} has held a lock for more than {timeout:g} s",
                where=str(path),
                next="let it finish or stop it; the lock is freed when the process ends",
            )
        time.sleep(min(left, pause * random.uniform(0.5, 1.0)))  # noqa: S311  # spreads waiters
        pause = min(pause * 2, 0.05)
