"""The first process of a job: gives it a `/opt/ml` of its own, runs its command, and ends all that it has started.

Run as a program, with a `ViewRequest` on standard input. A container has its own file system and processes; of
these a job needs `/opt/ml`, and that nothing outlives it. Linux gives both without a container: a mount namespace
(mount_namespaces(7)), in which the job's folder is bound to `/opt/ml`, and a pid namespace (pid_namespaces(7)),
whose processes the kernel kills when its first one ends, daemons among them. Whoever is not root makes these in a
user namespace (user_namespaces(7)), in which he stays who he is.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import NoReturn

import msgspec

from trikk.core.record import Record
from trikk.execution.workers.descendants import die_with_parent, end_children, take_in_orphans

ML = Path("/opt/ml")
"""Where the contract has everything that a container exchanges with the platform."""
KILL = signal.SIGQUIT
"""Tells this process to have the job killed, and to end when nothing of it is left."""
_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWPID = 0x20000, 0x10000000, 0x20000000  # sched.h
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18  # sys/mount.h
_MNT_DETACH = 2
_NOT_FOUND, _NOT_EXECUTABLE, _BY_SIGNAL = 127, 126, 128  # what shells and Docker exit with
_LOST = "the job's first process was killed from outside"
_libc = ctypes.CDLL(None, use_errno=True)


class View(StrEnum):
    """How a job gets its `/opt/ml`: the best of these that the kernel allows."""

    NAMESPACES = "namespaces"
    MOUNTS = "mounts"
    TURNS = "turns"


class ViewRequest(Record, frozen=True):
    """What is to be run.

    Attributes:
        view: how `/opt/ml` is to be had.
        ml: the folder that it is.
        scratch: a folder for the job's current folder and for what is mounted on the way.
        status: the file that says how it ended: a `ViewEnd`.
        command: the program and its arguments; with none, only whether the view can be had is found out.
        environment: the program's variables, all of them.
    """

    view: View
    ml: str
    scratch: str
    status: str
    command: tuple[str, ...] = ()
    environment: dict[str, str] = msgspec.field(default_factory=dict)


class ViewEnd(Record, frozen=True):
    """How it ended: the command's exit code as a shell gives it, or why it could not be begun."""

    code: int = 0
    problem: str = ""


def run(request: ViewRequest) -> NoReturn:
    """Do what is asked, write down how it ended, and end this process with the same code."""
    with contextlib.ExitStack() as turn:
        try:
            if request.view == View.TURNS:
                turn.enter_context(_linked(Path(request.ml)))
            else:
                _unshare(request.view)
            end = _first_process(request)
        except OSError as error:
            end = ViewEnd(_BY_SIGNAL - 1, f"{error.strerror or error}: {error.filename or 'the kernel'}")
    if end is not None:
        _say(request.status, end)
        sys.exit(end.code)
    sys.exit(_read(request.status))


def _first_process(request: ViewRequest) -> ViewEnd | None:
    """Fork, so that the child is the first process of the new namespaces, and wait; None where it has told."""
    child = os.fork()
    if child:
        _pass_on_signals(child)
        signal.signal(KILL, lambda *_: os.kill(child, signal.SIGKILL))
        os.waitpid(child, 0)  # returns when the kernel has ended all that is in its namespace
        return None if Path(request.status).exists() else ViewEnd(_BY_SIGNAL + signal.SIGKILL, _LOST)
    die_with_parent(True)
    try:
        if request.view != View.TURNS:
            _mount(request)
        end = _supervise(request)
    except OSError as error:
        end = ViewEnd(_BY_SIGNAL - 1, f"{error.strerror or error}: {error.filename or 'mount'}")
    _say(request.status, end)
    os._exit(end.code)


def _supervise(request: ViewRequest) -> ViewEnd:
    """Run the command, take in what it leaves behind, and kill that when it has ended."""
    if not request.command:
        return ViewEnd()
    take_in_orphans()
    child = os.fork()
    if not child:
        _exec(request)
    _pass_on_signals(child)
    while True:
        pid, status = os.wait()
        if pid == child:
            break
    end_children()
    code = os.waitstatus_to_exitcode(status)
    return ViewEnd(code if code >= 0 else _BY_SIGNAL - code)


def _exec(request: ViewRequest) -> NoReturn:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    try:
        work = Path(request.scratch, "work")
        work.mkdir(exist_ok=True)
        os.chdir(work)
        os.execvpe(request.command[0], request.command, request.environment)  # noqa: S606 - it is what is wanted
    except OSError as error:
        print(f"{request.command[0]}: {error.strerror}", file=sys.stderr, flush=True)  # noqa: T201 - the job's log
        os._exit(_NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE)


def _pass_on_signals(child: int) -> None:
    def pass_on(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signal module's signature
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the run's: it stops the jobs by SIGTERM


def _unshare(view: View) -> None:
    """Leave the namespaces that this process is in; OSError if the kernel forbids it."""
    flags = _CLONE_NEWNS | (_CLONE_NEWPID if view == View.NAMESPACES else 0)
    user, group, is_root = os.getuid(), os.getgid(), os.geteuid() == 0
    if _libc.unshare(flags if is_root else flags | _CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "unshare")
    if not is_root:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _mount(request: ViewRequest) -> None:
    """Bind the job's folder to /opt/ml, and show the processes of this namespace alone in /proc."""
    _mount_one(None, "/", _MS_REC | _MS_PRIVATE)  # nothing of this is seen outside
    if not ML.is_dir():
        _shadow(ML.parent, Path(request.scratch))
        ML.mkdir()
    _mount_one(request.ml, str(ML), _MS_BIND | _MS_REC)
    if request.view == View.NAMESPACES:
        _mount_one("proc", "/proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, "proc")


def _shadow(folder: Path, scratch: Path) -> None:
    """Put a folder in memory in the place of one, with all that is in that, so that more can be added to it."""
    before = scratch / "before"
    before.mkdir(exist_ok=True)
    _mount_one(str(folder), str(before), _MS_BIND | _MS_REC)
    _mount_one("tmpfs", str(folder), _MS_NOSUID | _MS_NODEV, "tmpfs", "mode=755")
    for entry in os.scandir(before):
        place = folder / entry.name
        if entry.is_symlink():
            place.symlink_to(Path(entry.path).readlink())
            continue
        place.mkdir() if entry.is_dir() else place.touch()
        _mount_one(entry.path, str(place), _MS_BIND | _MS_REC)
    _libc.umount2(os.fsencode(before), _MNT_DETACH)


def _mount_one(
    source: str | None, target: str, flags: int, kind: str | None = None, options: str | None = None
) -> None:
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind, options)]
    if _libc.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3]):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), target)


@contextlib.contextmanager
def _linked(ml: Path) -> Iterator[None]:
    """Have /opt/ml be a link to the job's folder for the block; others wait for their turn.

    The folder's own lock is used, so that nothing is left behind.
    """
    folder = os.open(ML.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if ML.is_symlink():
            ML.unlink()  # of a job that was killed
        ML.symlink_to(ml)
        try:
            yield
        finally:
            ML.unlink()
    finally:
        os.close(folder)


def _say(status: str, end: ViewEnd) -> None:
    half = f"{status}.part"
    with contextlib.suppress(OSError):  # a full disk: no status counts as killed
        Path(half).write_bytes(end.to_bytes())
        Path(half).replace(status)


def _read(status: str) -> int:
    return ViewEnd.from_bytes(Path(status).read_bytes()).code


def main() -> None:
    """`python -m trikk.targets.sagemaker.local.containers.private_view`."""
    die_with_parent(True)
    request = ViewRequest.from_bytes(sys.stdin.buffer.read())
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    run(request)


if __name__ == "__main__":
    main()
