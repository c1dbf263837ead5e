"""A line to a server that a test can cut: nobody gets through until it is mended."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class Relay:
    """Passes bytes on between clients and a server.

    Args:
        server: "host:port".
    """

    def __init__(self, server: str) -> None:
        name, _, port = server.rpartition(":")
        self._server = (name, int(port))
        self._ends: list[socket.socket] = []
        self._port = 0
        self.mend()

    @property
    def host(self) -> str:
        """Where clients connect to."""
        return f"127.0.0.1:{self._port}"

    def mend(self) -> None:
        """Let clients through, at the same address as before."""
        self._listening = socket.create_server(("127.0.0.1", self._port))
        self._port = self._listening.getsockname()[1]
        threading.Thread(target=self._take, args=(self._listening,), daemon=True).start()

    def cut(self) -> None:
        """Cut everybody off, and let nobody through."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # a close alone leaves `accept` waiting
        self._listening.close()
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._ends.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.cut()

    def _take(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listening.accept()
                far = socket.create_connection(self._server)
                self._ends += [near, far]
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError), source:
        while data := source.recv(1 << 16):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
