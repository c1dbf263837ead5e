"""The process that forks drivers: it has imported what a driver needs, and never the author's code.

    python -m trikk.server.queue.nursery FD ROOT

Over the socket FD (of whole messages) a server sends `Drive`, and is told `Driving`, `Driven` and `Templated`. A
server's looks are forks of it as well, which ends with none of them under way (`nursery_messages`). A
fresh interpreter and another for its host take a fifth of a second of a core before a run begins, and what the
project imports; a fork of this process and one of a template (`execution/templates`) take a few hundredths.

Nobody depends on it: a driver has a session and a log of its own, and goes on when this process or the server is
killed. When the server is gone it takes no more requests, and ends when its last driver has: no other could wait
for them. It is asleep unless there is something to do.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import selectors
import signal
import socket
import sys
import traceback
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from trikk.core.errors import TrikkError
from trikk.core.logs import log_to_stderr
from trikk.core.record import get_ready_to_read, read_bytes
from trikk.execution.project import Project
from trikk.execution.queued_run import Warm
from trikk.execution.step_messages import StepResult
from trikk.execution.templates.forked_host import ForkedHostExecutor
from trikk.execution.templates.template_messages import LARGEST
from trikk.execution.workers.child import finish
from trikk.execution.workers.descendants import new_token
from trikk.execution.workers.fork_safety import why_not_fork
from trikk.execution.workers.host import wake_on_child
from trikk.execution.workers.wire import ToDriver
from trikk.server.queue.launcher import log_of
from trikk.server.queue.nursery_messages import (
    Drive,
    Driven,
    Driving,
    FromNursery,
    Here,
    Look,
    Templated,
    ToNursery,
)
from trikk.server.queue.project_template import ProjectTemplate
from trikk.server.queue.run_process import drive
from trikk.telemetry.tracing_switch import import_to_trace

_log = logging.getLogger("trikk.server.nursery")


@dataclass(slots=True)
class _Link:
    """A driver's end of the connection to the host that a template is forking for it."""

    sock: socket.socket
    token: str


class Nursery:
    """Forks drivers until nobody wants any.

    Args:
        control: the server's socket.
        root: the project's folder.
    """

    def __init__(self, control: socket.socket, root: Path) -> None:
        self._control = control
        self._root = root
        self._selector = selectors.DefaultSelector()
        self._template = ProjectTemplate(root, self._selector, self._leave)
        self._waiting: deque[str] = deque()  # for the project to be imported
        self._drivers: dict[int, str] = {}
        self._lookers: set[int] = set()
        self._is_wanted = True
        self._is_templated = False  # as the server was told

    def serve(self) -> None:
        """Fork drivers, and tell of their ends."""
        log_to_stderr(self._template.project.settings)
        _import_what_drivers_need(self._template.project)
        _make_what_is_kept(Project(self._template.project.settings))
        # Before any fork: a collection would write to every page that they share with this process.
        gc.collect()
        gc.freeze()
        self._template.look()
        awake = wake_on_child()
        self._selector.register(self._control, selectors.EVENT_READ, "control")
        self._selector.register(awake, selectors.EVENT_READ, "child")
        while self._is_wanted or self._drivers or self._lookers:
            for key, _ in self._selector.select(self._template.next_look):
                if key.data == "control":
                    self._listen()
                elif key.data == "child":
                    os.read(awake, 4096)
                    self._reap()
                else:
                    self._template.hear(key.data)
            if self._template.next_look is not None:
                self._template.look()  # nobody else would see that an import hangs, or that its code was mended
            if self._is_templated != (self._template.control is not None):
                self._is_templated = not self._is_templated
                self._tell(Templated(self._is_templated))
            if self._waiting and not self._template.is_awaited:
                self._fork_drivers()

    def _listen(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, LARGEST, 3)
        except ConnectionResetError:
            data = b""
        if not data:
            self._retire()
            return
        request = read_bytes(data, ToNursery)
        if isinstance(request, Drive):
            self._template.look()
            self._waiting.append(request.run)
        elif isinstance(request, Look):
            self._fork_look(request, descriptors)
        else:
            self._tell(Here())

    def _retire(self) -> None:
        """Take no more requests."""
        self._is_wanted = False
        self._selector.unregister(self._control)
        self._control.close()  # a server that is there starts interpreters from then on
        self._waiting.clear()  # they stay queued
        self._template.close()

    def _tell(self, message: FromNursery) -> None:
        if self._is_wanted:
            with contextlib.suppress(OSError):  # the server is gone, which the next look at the socket shows
                self._control.send(message.to_bytes())

    def _reap(self) -> None:
        while True:
            try:
                gone = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if gone is None:
                return
            if gone.si_pid in self._lookers:
                self._lookers.discard(gone.si_pid)
                # Before it is waited for: until then its number can't be another's.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(gone.si_pid, signal.SIGKILL)
            pid, status = os.waitpid(gone.si_pid, 0)
            run = self._drivers.pop(pid, None)
            if run is not None:  # else a template
                self._tell(Driven(run, pid, status))

    def _fork_drivers(self) -> None:
        self._check_threads()
        while self._waiting:
            self._fork(self._waiting.popleft())

    def _check_threads(self) -> None:
        """Retire if a library has started threads here, as clients of object stores do: forks would hang."""
        if (threads := why_not_fork()) is not None:
            _log.error("drivers can't be forked any more: %s", threads)
            self._retire()

    def _fork_look(self, request: Look, descriptors: Sequence[int]) -> None:
        """Fork a process that looks; that its end of the pipes is closed tells the server if there is none."""
        self._check_threads()
        pid = -1
        if self._is_wanted:
            with contextlib.suppress(OSError):
                pid = os.fork()
        if pid == 0:
            try:
                self._leave()
                for number, descriptor in enumerate(descriptors):
                    os.dup2(descriptor, number)
                    os.close(descriptor)
                from trikk.server.presence.look_process import serve_looks  # here: between looks nobody needs it

                serve_looks(reports=request.reports)
            except BaseException:  # noqa: BLE001 - it must not go on as the nursery
                traceback.print_exc()
            finally:
                finish(0)
        for descriptor in descriptors:
            os.close(descriptor)
        if pid > 0:
            self._lookers.add(pid)

    def _fork(self, run: str) -> None:
        try:
            log = os.open(log_of(self._template.project, run), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        except (OSError, TrikkError) as error:
            _log.error("run %s can't be driven: %s", run, error, extra={"run": run})
            self._tell(Driving(run, 0))
            return
        link = self._link(log)
        try:
            pid = os.fork()
        except OSError as error:
            _log.error("no process for run %s: %s", run, error.strerror, extra={"run": run})
            pid = -1
        if pid == 0:
            self._be_driver(run, log, link)
        os.close(log)
        if link is not None:
            link.sock.close()
        if pid > 0:
            self._drivers[pid] = run
        self._tell(Driving(run, max(pid, 0)))

    def _link(self, log: int) -> _Link | None:
        """Have the template fork a host; None if there is none that can."""
        ours, theirs = socket.socketpair()
        link = _Link(ours, new_token())
        with theirs:
            if self._template.ask_for_host(theirs, log, link.token):
                return link
        ours.close()
        return None

    def _leave(self) -> None:
        """In a fork: have a session of its own, and let go of what is the nursery's."""
        signal.set_wakeup_fd(-1)  # the pipe is the nursery's
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        self._control.close()
        self._selector.close()
        self._template.leave()

    def _be_driver(self, run: str, log: int, link: _Link | None) -> NoReturn:
        status = 1
        try:
            self._leave()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.close(log)
            project, base = self._template.project, self._template.base
            warm = None
            if link is not None and base is not None:
                warm = Warm(ForkedHostExecutor(project.settings, link.sock, link.token), base)
            status = drive(project, run, warm)
        except BaseException:  # noqa: BLE001 - it must not go on as the nursery
            traceback.print_exc()
        finally:
            finish(status)


def _import_what_drivers_need(project: Project) -> None:
    """Import, without using, what every driver of a project, or every template, imports late."""
    import blake3  # noqa: F401

    import trikk.execution.driving.driver
    import trikk.execution.driving.machine_share
    import trikk.execution.resume
    import trikk.runs.journals.open_journal
    import trikk.runs.journals.sqlite_journal
    import trikk.storage.artifacts
    import trikk.storage.lazy_tables
    import trikk.storage.stores.locations  # noqa: F401

    import_to_trace(project.settings)


def _make_what_is_kept(project: Project) -> None:
    """Make what each driver would make for itself, as it is kept from its first use on: statements, decoders.

    Args:
        project: opened for this alone: a connection to the journal is not for drivers to share.
    """
    get_ready_to_read(ToDriver, StepResult)
    if not project.settings.location("journal").startswith("postgres"):  # whose library may start threads
        with contextlib.suppress(TrikkError):  # each driver says so for itself
            project.journal.runs(limit=1)
            project.journal.leases()
        project.close()


def main() -> None:
    """Be a nursery until nobody wants one."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Nursery(control, Path(sys.argv[2])).serve()
    finish(0)


if __name__ == "__main__":
    main()
