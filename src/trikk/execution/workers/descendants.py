"""What a step's process has started: found and ended with it, whatever session or group it has put itself in.

A worker takes in the orphans among its descendants (it is their "subreaper", prctl(2)), so that what is below it
stays below it while it lives; when it dies they go to the host, which is one too. Where the host itself is killed,
what it and its workers have started is known by a variable of the environment that the host was given.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Collection
from pathlib import Path

TOKEN = "TRIKK_HOST"  # noqa: S105 - the name of a variable
_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 1, 15, 36  # prctl(2)
_prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None
_PATIENCE = 1.0  # seconds that a killed process may take to be gone; one that waits for a disk takes longer
_PAUSE = 0.001


def die_with_parent(yes: bool) -> None:
    """Have the kernel kill this process when the one that started it ends, or not any more (Linux)."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL if yes else 0)


def take_in_orphans() -> None:
    """Become the parent of descendants whose own parent ends (Linux)."""
    if _prctl is not None:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def name_process(name: str) -> None:
    """Have `ps -o comm` and `top` call this process so; 15 bytes at most (Linux). Its command line stays."""
    if _prctl is not None:
        _prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)


def has_children() -> bool:
    """Whether this process has any child, be it alive or not yet waited for."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def children(parent: int) -> set[int]:
    """The processes whose parent this is."""
    return {pid for pid, above in _parents().items() if above == parent}


def end_children(keep: Collection[int] = ()) -> None:
    """Kill this process's children but for `keep`, and theirs, which come to it; returns when they are gone."""
    # Again and again: what a killed process had started comes up to this one only when that has died.
    end = time.monotonic() + _PATIENCE
    while (left := children(os.getpid()) - {*keep}) and time.monotonic() < end:
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for pid in left:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(_PAUSE)


def mark(token: str) -> None:
    """Have this process and what it starts be known by a token, in place of the one it was forked with.

    What the system shows of a process's environment is the text that it was started with, in its own memory: that
    is overwritten, for forks. The variable is set as well, for programs that are started; a second call would not
    find that text any more.
    """
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_void_p
    place, was = libc.getenv(TOKEN.encode()), os.environ.get(TOKEN, "")
    if place and len(was) == len(token):
        ctypes.memmove(place, token.encode(), len(token))
    os.environ[TOKEN] = token


def new_token() -> str:
    """A token for a host."""
    return os.urandom(8).hex()


def end_marked(token: str) -> None:
    """Kill every process that was started with this token in its environment; returns when they are gone."""
    end, mark = time.monotonic() + _PATIENCE, f"{TOKEN}={token}".encode()
    while (left := [pid for pid in _parents() if _is_marked(pid, mark)]) and time.monotonic() < end:
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_PAUSE)


def _is_marked(pid: int, mark: bytes) -> bool:
    try:
        return pid != os.getpid() and mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False  # gone, a zombie, or somebody else's


def _parents() -> dict[int, int]:
    """For each process its parent; zombies are left out. Empty where there is no /proc."""
    parents = {}
    for folder in Path("/proc").iterdir() if sys.platform == "linux" else ():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            if fields and fields[0] not in "ZX":
                parents[int(folder.name)] = int(fields[1])
    return parents
