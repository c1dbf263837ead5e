"""The template of a project's hosts, and the one that replaces it when the code changes.

Runs are locked to the code that the template has imported. While a new version is imported, the last one serves;
if the new one does not load, it goes on to serve, as the last set of triggers does. Without any, each driver has a
host of its own, and says what is wrong with the code.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import selectors
import signal
import socket
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from trikk.core.errors import TrikkError
from trikk.core.record import read_bytes
from trikk.core.settings import Settings
from trikk.execution.launch import current_lock
from trikk.execution.project import Project
from trikk.execution.templates.template_host import be_template
from trikk.execution.templates.template_messages import LARGEST, HostWanted, Loaded, NotLoaded, ToLauncher
from trikk.execution.workers.child import finish
from trikk.execution.workers.fork_safety import why_not_fork
from trikk.runs.lock import Lock
from trikk.server.presence.served_code import IMPORTS_WITHIN, stamp

_LOOK_EVERY = 1.0  # seconds for which the code counts as unchanged
_AGAIN = 60.0  # seconds after which code that does not load is tried again though it is the same
_ANSWERS = 10.0  # seconds in which a template takes a request, before it counts as hanging
_log = logging.getLogger("trikk.server.nursery")


class ProjectTemplate:
    """The template that serves, if one does.

    Args:
        root: the project's folder.
        selector: is given the sockets of templates, with themselves as data.
        leave_nursery: in a fork, lets go of what belongs to the process that this is in.

    Attributes:
        project: with the settings that belong to the code.
        control: the socket of the template that serves; None if there is none.
        base: what runs of its code are locked to.
    """

    def __init__(self, root: Path, selector: selectors.BaseSelector, leave_nursery: Callable[[], None]) -> None:
        self.project = Project.open(root)
        self.control: socket.socket | None = None
        self.base: Lock | None = None
        self._selector = selector
        self._leave_nursery = leave_nursery
        self._coming: socket.socket | None = None
        self._importer = self._serving = 0  # the processes at the other ends of that, and of `control`
        self._seen = ""
        self._unanswered: list[float] = []  # monotonic: when hosts were asked for, of which nothing was heard
        self._next_look = self._again = self._give_up = 0.0

    @property
    def next_look(self) -> float | None:
        """Seconds until the next look at a template that may hang: imports, or was asked; None if none may."""
        if self._coming is None and not self._unanswered:
            return None
        return max(0.0, self._next_look - time.monotonic())

    @property
    def is_awaited(self) -> bool:
        """Whether there is none, and one is importing the project just now."""
        return self.control is None and self._coming is not None

    def look(self) -> None:
        """Begin to import the code if it is another than it was; a look at the files at most every second.

        An import that hangs is begun anew, at the latest when the code has changed.
        """
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_EVERY
        if self._unanswered and now > self._unanswered[0] + _ANSWERS:
            _log.error("the template of hosts does not answer, and is replaced")
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._serving, signal.SIGKILL)
            self.drop()
            self._again = now
        seen = stamp(self.project.root, self.project.settings.code)
        if self._coming is not None:
            if seen == self._seen and now < self._give_up:
                return
            self._give_up_import()
        elif seen == self._seen and (self.control is not None or now < self._again):
            return
        self._seen, self._again, self._give_up = seen, now + _AGAIN, now + IMPORTS_WITHIN
        with contextlib.suppress(TrikkError):  # a trikk.toml that can't be read: the template says so
            self.project = Project.open(self.project.root)
        if why_not_fork() is None:
            self._fork_template()

    def _fork_template(self) -> None:
        """Fork a process that imports the project. It shares with this one what both have imported of trikk."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            return
        if pid == 0:
            try:
                self._leave_nursery()
                ours.close()
                be_template(theirs, self.project.root)
            except BaseException:  # noqa: BLE001 - it must not go on as the nursery
                traceback.print_exc()
            finally:
                finish(1)
        theirs.close()
        self._coming, self._importer = ours, pid
        self._selector.register(ours, selectors.EVENT_READ, ours)

    def hear(self, sock: socket.socket) -> None:
        """Take in what a template says, or that it has ended."""
        try:
            data = sock.recv(LARGEST)
        except ConnectionResetError:
            data = b""
        if sock is self._coming:
            self._coming = None
            answer = read_bytes(data, ToLauncher) if data else None
            base = self._lock_of(answer) if isinstance(answer, Loaded) and answer.fresh is None else None
            if base is not None:
                self.drop()
                self.control, self.base, self._serving = sock, base, self._importer
                sock.settimeout(_ANSWERS)
                return
            if isinstance(answer, NotLoaded):
                _log.error("the project's code does not load: %s", answer.error["what"])
            elif isinstance(answer, Loaded):
                self.drop()  # of code that is not the project's any more
        elif sock is self.control:
            if data:
                del self._unanswered[:1]
            else:
                self.drop()
            return
        self._close(sock)

    def ask_for_host(self, driver: socket.socket, log: int, token: str) -> bool:
        """Have a host forked for a driver, at whose socket it is then; False if there is no template that can."""
        if self.control is None:
            return False
        try:
            socket.send_fds(self.control, [HostWanted(token).to_bytes()], [driver.fileno(), log])
        except OSError:
            self.drop()
            return False
        self._unanswered.append(time.monotonic())
        return True

    def drop(self) -> None:
        """Do without a template from now on; it ends when its last host has."""
        self._unanswered.clear()
        if self.control is not None:
            self._close(self.control)
        self.control = self.base = None

    def close(self) -> None:
        """Let go of all templates."""
        self.drop()
        if self._coming is not None:
            self._give_up_import()

    def leave(self) -> None:
        """In a fork: close what belongs to the process that it was forked from."""
        for sock in (self.control, self._coming):
            if sock is not None:
                sock.close()

    def _lock_of(self, loaded: Loaded) -> Lock | None:
        """What runs of this code are locked to; None if it can't be had, or drivers can't be forked with it.

        What drivers need beside it is imported.
        """
        for module in loaded.modules:
            importlib.import_module(module)
        base = _current_lock(self.project.settings)
        if base is None:
            return None
        if base.code != loaded.code:
            self._seen = ""  # it has changed meanwhile, and is imported again
            return None
        return base if why_not_fork() is None else None

    def _give_up_import(self) -> None:
        """End a template that is importing the project: it would not see that nobody waits for it any more."""
        assert self._coming is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._importer, signal.SIGKILL)
        self._close(self._coming)
        self._coming = None

    def _close(self, sock: socket.socket) -> None:
        self._selector.unregister(sock)
        sock.close()


def _current_lock(settings: Settings) -> Lock | None:
    """What a run that is started now is locked to; None if the code can't be stored, and the log says why.

    By a fork: what stores the code in a bucket starts threads. Forks of this process would not have them, and each
    driver would wait for them for ever.
    """
    reader, writer = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        os.close(reader)
        os.close(writer)
        return None
    if pid == 0:
        status = 1
        try:
            signal.set_wakeup_fd(-1)  # the pipe is the nursery's
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(current_lock(Project(settings)).to_bytes())
            status = 0
        except TrikkError as error:
            _log.error("the project's code can't be stored: %s", error)
        except BaseException:  # noqa: BLE001 - it must not go on as the nursery
            traceback.print_exc()
        finally:
            finish(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    os.waitpid(pid, 0)
    return read_bytes(data, Lock) if data else None
