"""Drivers that are forked: a server's end of its nursery."""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from trikk.core.record import read_bytes
from trikk.execution.project import Project
from trikk.execution.templates.template_messages import LARGEST
from trikk.execution.workers.descendants import new_token
from trikk.execution.workers.process_executor import host_environment
from trikk.runs.journals.lease import Holder
from trikk.server.queue.launcher import ColdLauncher, Launcher
from trikk.server.queue.nursery_messages import Call, Drive, Driven, Driving, FromNursery, Here, Look, Templated

_RARELY = 60.0  # seconds between the ends of two nurseries, for them to be bad luck and no fault of ours
_SENDS = 5  # seconds in which a nursery takes a request, before it counts as hanging
_CALLED_EVERY = 10.0  # seconds between calls by which a nursery is seen to hang
_ANSWERS = 30.0
"""Seconds in which a nursery answers a call, before it counts as hanging: it may be storing code in a bucket."""
_log = logging.getLogger("trikk.server")


def open_launcher(project: Project, on_end: Callable[[], None] = lambda: None) -> Launcher:
    """The quickest way to start drivers on this machine.

    Args:
        project: whose runs they drive.
        on_end: is called, by whichever thread, when one has ended.
    """
    return WarmLauncher(project, on_end) if sys.platform == "linux" else ColdLauncher(project)


class WarmLauncher:
    """Has drivers forked by a nursery; where that dies again and again, it starts interpreters.

    Args:
        project: whose runs they drive.
        on_end: is called, by a thread of its own, when one has ended.

    Attributes:
        has_code: whether the nursery has a template: runs start with its code, be that on the disk broken.
    """

    def __init__(self, project: Project, on_end: Callable[[], None] = lambda: None) -> None:
        self.has_code = False
        self._project = project
        self._on_end = on_end
        self._cold = ColdLauncher(project)
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._drivers: dict[str, Holder | None] = {}  # None for one that is about to be forked
        self._ended = 0
        self._called: float | None = None  # monotonic; None if the nursery has answered
        self._call_at = 0.0
        self._changes = threading.Lock()
        self._began = -_RARELY
        self._open()

    def start(self, run: str) -> None:
        """Have a driver forked; RunError if none can be started."""
        if self._control is None and time.monotonic() >= self._began + _RARELY:
            self._open()
        control = self._control  # which the thread that reads it may take away at any moment
        if control is None:
            self._cold.start(run)
            return
        with self._changes:
            self._drivers[run] = None
        try:
            control.send(Drive(run).to_bytes())
        except OSError:
            with contextlib.suppress(OSError):  # one that hangs is not wanted any more, should it ever go on
                control.shutdown(socket.SHUT_RDWR)
            self._lost(control)
            with self._changes:  # that it was lost may have been noted before this run was
                self._drivers.pop(run, None)
            self._cold.start(run)

    def start_look(self, stdin: int, stdout: int, *, reports: bool) -> None:
        """Have a process forked that looks; OSError if none can be started."""
        if (control := self._control) is not None:
            with contextlib.suppress(OSError):
                # Its log is this process's: what a look says is the server's to say.
                socket.send_fds(control, [Look(reports).to_bytes()], [stdin, stdout, 2])
                return
        self._cold.start_look(stdin, stdout, reports=reports)

    def is_there(self, run: str) -> bool:
        """Whether the run's process is there."""
        with self._changes:
            driver = self._drivers.get(run, _GONE)
        if driver is _GONE:
            return self._cold.is_there(run)
        # Of a nursery that is gone, nothing is heard any more: then the system is asked.
        return driver is None or bool(driver.is_alive())

    def look(self) -> int:
        """How many processes have ended since the last look."""
        with self._changes:
            ended, self._ended = self._ended, 0
            for run in [run for run, driver in self._drivers.items() if driver and not driver.is_alive()]:
                del self._drivers[run]
        if self._process is not None:
            self._process.poll()
        self._call()
        return ended + self._cold.look()

    def _call(self) -> None:
        """See that the nursery does not hang, and end one that does: its runs would stay queued for ever."""
        control, now = self._control, time.monotonic()
        if control is None or self._process is None:
            return
        if self._called is not None:
            if now > self._called + _ANSWERS:
                _log.error("the process that forks drivers has not answered for %.0f s, and is replaced", _ANSWERS)
                self._process.kill()
        elif now >= self._call_at:
            self._called, self._call_at = now, now + _CALLED_EVERY
            with contextlib.suppress(OSError):  # it is gone, which the thread that reads sees
                control.send(Call().to_bytes())

    def close(self) -> None:
        """Start no more; what was started goes on."""
        control, self._control = self._control, None  # first: the thread that reads it takes its end for no loss
        if control is not None:
            control.shutdown(socket.SHUT_RDWR)  # closing it would leave that thread waiting
        if self._process is not None and self._process.poll() is None:
            self._process.returncode = 0  # it ends when its last driver has, and nobody here waits for that
        self._cold.close()

    def _open(self) -> None:
        """Start a nursery; without one, drivers are interpreters of their own."""
        self._began = time.monotonic()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [
            sys.executable,
            "-m",
            "trikk.server.queue.nursery",
            str(theirs.fileno()),
            str(self._project.root),
        ]
        try:
            folder = self._project.state_dir / "server"
            folder.mkdir(exist_ok=True)
            with (folder / "nursery.log").open("ab") as log:
                self._process = subprocess.Popen(
                    command,
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    env=host_environment(new_token()),  # for the templates that are forked of it
                )
        except OSError as error:
            _log.warning("drivers are started one by one, as nothing to fork them could be started: %s", error)
            ours.close()
            return
        finally:
            theirs.close()
        # Of sending alone: the thread that reads waits as long as it takes. A `timeval` is two longs.
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _SENDS, 0))
        self._control = ours
        threading.Thread(target=self._listen, args=(ours,), name="drivers", daemon=True).start()

    def _listen(self, control: socket.socket) -> None:
        while True:
            try:
                data = control.recv(LARGEST)
            except OSError:
                data = b""
            if not data:
                self._lost(control)
                control.close()
                return
            self._note(read_bytes(data, FromNursery))

    def _note(self, message: FromNursery) -> None:
        with self._changes:
            if isinstance(message, Here):
                self._called = None
                return
            if isinstance(message, Templated):
                self.has_code = message.is_so
                return
            if isinstance(message, Driving) and message.pid:
                self._drivers[message.run] = Holder.of(message.pid)
                return
            self._drivers.pop(message.run, None)
            self._ended += isinstance(message, Driven)
        self._on_end()

    def _lost(self, control: socket.socket) -> None:
        """The nursery is gone: of what it has forked the system is asked, and the rest is not there."""
        with self._changes:
            if self._control is not control:
                return
            self._control = self._called = None
            self.has_code = False
            self._drivers = {run: driver for run, driver in self._drivers.items() if driver is not None}
        _log.warning("the process that forks drivers has ended; what it says is in .trikk/server/nursery.log")
        self._on_end()


_GONE = Holder("", "", 0, 0.0)
