"""An executor whose host was forked from a template, and is nobody's child that this process could wait for."""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import signal
import socket

from trikk.core.errors import ProjectError, RunError, TrikkError
from trikk.core.settings import Settings
from trikk.execution.workers.descendants import end_marked
from trikk.execution.workers.process_executor import STOP_WAIT, ProcessExecutor
from trikk.execution.workers.wire import Ready, Refused, ToDriver, Wire


class ForkedHostExecutor(ProcessExecutor):
    """A host that was asked of a template; one of its own, if none comes.

    Args:
        settings: the project.
        sock: this end of the connection whose other end the template was given.
        token: by which the host and what it starts are known.
    """

    def __init__(self, settings: Settings, sock: socket.socket, token: str) -> None:
        self._sock: socket.socket | None = sock
        self._watched = -1  # a descriptor of the forked host's process; -1 if there is none
        self._given = token
        super().__init__(settings)

    def _start_host(self) -> None:
        if self._sock is None:
            super()._start_host()
            return
        self._wire, self._token, self._early = Wire(self._sock, ToDriver), self._given, []
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wire, selectors.EVENT_READ)

    def _ready(self) -> tuple[Ready | Refused, bytes]:
        if self._sock is not None:
            try:
                answer = self._answer(Ready | Refused)
                # At once, while it is surely there: later its number might be another process's.
                self._watched = os.pidfd_open(answer[0].pid)
                return answer
            except (ProjectError, RunError, OSError):
                self._hang_up()
                self._start_host()
        return super()._ready()

    def close(self) -> None:
        """Hang up: the host ends its workers and itself."""
        if self._sock is None:
            super().close()
            return
        watched = self._watched
        self._hang_up(keep=True)
        if watched >= 0:
            if not select.select([watched], [], [], STOP_WAIT)[0]:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(watched, signal.SIGKILL)
                end_marked(self._token)
            os.close(watched)

    def _gone(self) -> TrikkError:
        if self._sock is None:
            return super()._gone()
        end_marked(self._token)  # whatever has ended it, its workers could not end what they have started
        return RunError("the process that holds the project's code has ended", next="trikk resume last")

    def _hang_up(self, *, keep: bool = False) -> None:
        self._selector.close()
        self._wire.sock.close()
        if not keep:
            self._sock = None
