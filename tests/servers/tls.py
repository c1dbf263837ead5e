"""Mail and web servers in TLS on loopback, in threads of this process, and an ear on the wire before them."""

from __future__ import annotations

import base64
import contextlib
import email
import email.policy
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

USER = "postmaster"
PASSWORD = "g00d/P@ss:w0rd%41#? x"


class Mail:
    """A mail server that wants TLS and a password before it takes a mail.

    Args:
        context: its certificate.
        at_once: whether TLS begins at once, or with STARTTLS.
        offers: whether it offers TLS at all.
    """

    def __init__(self, context: ssl.SSLContext, *, at_once: bool = False, offers: bool = True) -> None:
        from aiosmtpd.controller import Controller
        from aiosmtpd.smtp import SMTP

        outer = self
        self.mails: list[Any] = []
        self.logins: list[str] = []

        class Server(Controller):
            def factory(self) -> SMTP:
                return SMTP(
                    self.handler,
                    authenticator=outer._authenticate,
                    auth_require_tls=offers and not at_once,
                    require_starttls=offers and not at_once,
                    tls_context=context if offers and not at_once else None,
                )

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self._controller = Server(
            self, hostname="127.0.0.1", port=port, ssl_context=context if at_once else None, ready_timeout=30
        )
        self._controller.start()
        self.port = port

    def _authenticate(self, _server: Any, _session: Any, _envelope: Any, _way: str, given: Any) -> Any:
        from aiosmtpd.smtp import AuthResult

        self.logins.append(given.password.decode())
        good = (given.login, given.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=good, handled=False)

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"

    def stop(self) -> None:
        self._controller.stop()


@contextlib.contextmanager
def mail(context: ssl.SSLContext, **options: bool) -> Iterator[Mail]:
    """The server while the block runs; its arguments are those of `Mail`."""
    server = Mail(context, **options)
    try:
        yield server
    finally:
        server.stop()


class Wire:
    """What clients have sent to a server, as it was on the wire.

    Attributes:
        port: clients connect here.
        sent: the bytes.
    """

    def __init__(self, port: int) -> None:
        self.sent = bytearray()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._to = port
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def has(self, text: str) -> bool:
        """Whether a text was on the wire: as it is, or in base64 as SMTP writes passwords."""
        raw = text.encode()
        forms = [raw, base64.b64encode(raw), base64.b64encode(f"\0{USER}\0{text}".encode())]
        return any(form in self.sent for form in forms)

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for one in self._open:
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                self._open += [client, server]
                for pair in ((client, server, self.sent), (server, client, bytearray())):
                    thread = threading.Thread(target=self._copy, args=pair)
                    self._threads.append(thread)
                    thread.start()

    def _copy(self, source: socket.socket, target: socket.socket, kept: bytearray) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                kept += data
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def wire(port: int) -> Iterator[Wire]:
    """An ear between clients and a server on this machine, while the block runs."""
    found = Wire(port)
    try:
        yield found
    finally:
        found.close()


class Hook:
    """A web server that takes JSON in TLS.

    Attributes:
        got: what came.
        port: where it listens.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self.got: list[Any] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.port = self._server.server_port

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextlib.contextmanager
def hook(context: ssl.SSLContext) -> Iterator[Hook]:
    """The server while the block runs."""
    server = Hook(context)
    try:
        yield server
    finally:
        server.stop()
