"""The socket that a server listens on, and uvicorn over it, whose end is the caller's to decide."""

from __future__ import annotations

import contextlib
import logging
import resource
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from trikk.core.errors import UsageError

if TYPE_CHECKING:
    import asyncio

    import uvicorn

    from trikk.web.connections import Connections
    from trikk.web.server_certificate import ServerCertificate

_BACKLOG, _ACCEPTED = 2048, 64  # connections that the kernel keeps waiting; those that are accepted in one go
_FILES, _OWN_FILES, _LEAST_ROOM = 4096, 128, 16  # descriptors; those of workers, logs and databases; connections


def listen(host: str, port: int, server: str) -> socket.socket:
    """A socket that listens.

    Args:
        host: a name or address, IPv6 without brackets.
        port: 0 for a free one.
        server: what listens, for the error: "the endpoint".

    Raises:
        UsageError: if the address can't be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Asyncio turns Nagle's algorithm off only where the protocol is named; with it, answers take 40 ms more.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
        return listening
    except (OSError, OverflowError) as error:
        listening.close()
        why = getattr(error, "strerror", None) or error
        raise UsageError(
            f"{server} can't listen on {host}:{port}: {why}", next="choose another --port, or 0 for a free one"
        ) from error


def url_of(listening: socket.socket, certificate: ServerCertificate | None) -> str:
    """Where a socket listens, as people and programs write it; with a certificate it speaks TLS."""
    host, port = listening.getsockname()[:2]
    return f"http{'s' if certificate else ''}://{f'[{host}]' if ':' in host else host}:{port}"


def room_for(wanted: int) -> int:
    """How many connections there may be: as many as wanted, and as the process may open files beside its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = min(hard if hard != resource.RLIM_INFINITY else _FILES, max(soft, _FILES))
    # Many systems begin at 256 or 1,024, and allow far more to whoever asks.
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    # Those that are accepted in one go have descriptors before the last ones are turned away.
    return max(_LEAST_ROOM, min(wanted, files - _OWN_FILES - _ACCEPTED))


def server_of(
    app: Any, connections: Connections, grace: float, certificate: ServerCertificate | None = None
) -> uvicorn.Server:
    """Uvicorn for an ASGI application, which leaves signals alone.

    Args:
        app: the application.
        connections: limits on who may connect, and how long what may take.
        grace: seconds that open requests get when it is told to stop (`end`).
        certificate: what it shows; None without TLS.
    """
    import uvicorn

    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # not a line for each bad request

    class Server(uvicorn.Server):
        """Leaves signals to the caller, who has to do more than stop listening."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            for one in sockets or []:
                one.listen(_BACKLOG)  # asyncio takes `backlog` for how often it calls accept() in one go, too

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return Server(
        uvicorn.Config(
            app,
            loop="asyncio",
            http=cast(
                "type[asyncio.Protocol]", connections.protocol(certificate.context if certificate else None)
            ),
            proxy_headers=False,  # `trikk.web.proxies` reads them; here, any local process would be believed
            backlog=_ACCEPTED,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=75,  # seconds, as nginx: longer than the 60 after which load balancers give up
            timeout_graceful_shutdown=int(grace),
        )
    )


def end(server: uvicorn.Server) -> None:
    """The first call asks to finish, the second not to wait for clients any longer."""
    server.force_exit = server.should_exit
    server.should_exit = True
