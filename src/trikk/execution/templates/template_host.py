"""A host without a driver, of which a host is forked for each driver: the project is imported once for many runs.

It is a fork of a process that has imported trikk and used nothing (`server/queue/nursery.py`), whose hash seed is
fixed. Over a socket of whole messages it says `Loaded` when the project is imported, or `NotLoaded`. With each
`HostWanted` come two descriptors: one end of a new driver's socket, and the log that the host is to write to. A
host that is forked here is like any other, but a child of this process: it ends with its driver and not with its
template, which may be replaced or killed meanwhile.

The template is never used itself, as a host is not, and does nothing until it is asked. When the other end of the
socket closes it takes no more requests, and ends when its last host has: nobody else could wait for them.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import sys
from pathlib import Path
from typing import NoReturn

from trikk.core.errors import TrikkError
from trikk.core.record import read_bytes
from trikk.core.settings import load_settings
from trikk.execution.templates.template_messages import LARGEST, Asked, HostWanted, Loaded, NotLoaded, ToLauncher
from trikk.execution.workers.child import finish
from trikk.execution.workers.descendants import die_with_parent, mark, name_process
from trikk.execution.workers.host import Host, wake_on_child
from trikk.execution.workers.wire import ToHost, Wire
from trikk.runs.bundle import bundle_digest, manifest

_FOR_TABLES = ("polars", "deltalake")


class Template:
    """Imports a project, and forks hosts until nobody wants any."""

    def __init__(self, control: socket.socket, root: Path) -> None:
        self.control = control
        self.host = Host(root, root)
        self.root = root
        self.hosts: set[int] = set()

    def serve(self) -> None:
        """Import the project, say so, and fork hosts."""
        settings = load_settings(self.root, stored=True)
        die_with_parent(True)  # a module that hangs on import must not outlive who waits for it
        code = bundle_digest(manifest(self.root, settings.code))
        try:
            self.host.load(settings)
        except TrikkError as error:
            self._say(NotLoaded(code, error.to_json()))
            return
        die_with_parent(False)
        if bundle_digest(manifest(self.root, settings.code)) != code:
            self._say(NotLoaded(code, TrikkError("the code has changed while it was imported").to_json()))
            return
        fresh = self.host.fresh
        if self.host.imported:  # they would be all runs' together
            fresh = fresh or "importing the project starts processes"
        if fresh is None:
            self.host.make_ready(settings)
        self._say(Loaded(code, fresh, tuple(name for name in _FOR_TABLES if name in sys.modules)))
        if fresh is None:
            self._fork_hosts()

    def _say(self, message: ToLauncher) -> None:
        self.control.send(message.to_bytes())

    def _fork_hosts(self) -> None:
        selector, awake = selectors.DefaultSelector(), wake_on_child()
        selector.register(self.control, selectors.EVENT_READ, "control")
        selector.register(awake, selectors.EVENT_READ, "child")
        is_wanted = True
        while is_wanted or self.hosts:
            for key, _ in selector.select():
                if key.data == "child":
                    os.read(awake, 4096)
                    self._reap()
                elif not self._fork_host():
                    selector.unregister(self.control)
                    is_wanted = False
        if self.host.rehearsal is not None:
            self.host.rehearsal.close()

    def _fork_host(self) -> bool:
        """Fork the host that is asked for next; False if there will be no other."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self.control, LARGEST, 2)
        except ConnectionResetError:
            return False
        if not data:
            return False
        try:
            pid = os.fork()
        except OSError:
            pid = -1  # closing its socket tells the driver, which then starts a host of its own
        if pid == 0:
            self._be_host(read_bytes(data, HostWanted).token, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        if pid > 0:
            self.hosts.add(pid)
        self._say(Asked())
        return True

    def _be_host(self, token: str, wire: int, log: int) -> None:
        status = 1
        try:
            signal.set_wakeup_fd(-1)  # the pipe is the template's
            self.control.close()
            os.setsid()
            mark(token)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.close(log)
            self.host.become(Wire(socket.socket(fileno=wire), ToHost))
            self.host.report()
            self.host.attend()
            status = 0
        except (BrokenPipeError, ConnectionResetError):
            pass  # the driver is gone: so are its workers, by their death signal
        except BaseException as error:  # noqa: BLE001 - it must not go on as the template
            print(f"the host of the project's code can't go on: {error!r}", file=sys.stderr)  # noqa: T201
        finally:
            finish(status)

    def _reap(self) -> None:
        while self.hosts:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self.hosts.discard(pid)


def be_template(control: socket.socket, root: Path) -> NoReturn:
    """In a fork that has used nothing yet: be a template until nobody wants one.

    Args:
        control: the socket to whoever wants hosts.
        root: the project's folder.
    """
    control.set_inheritable(False)
    name_process("trikk template")
    os.dup2(2, 1)  # what a module prints when it is imported goes to the log, as what a host says does
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        Template(control, root).serve()
    except (BrokenPipeError, ConnectionResetError):
        finish(1)
    finish(0)
