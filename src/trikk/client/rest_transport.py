"""Requests to one server over http.client: a connection that is kept, TLS, a token, and what may be repeated.

http.client is enough for one server and one caller: httpx costs 80 ms more at each command that asks one, and
what it does beyond (pools, redirects, HTTP/2) a server of ours has no use for.

Repeated is only what changes nothing when it comes twice: GETs, and POSTs with an Idempotency-Key. Any other POST
goes over a new connection, since one that the server has closed meanwhile would leave open whether it was done.
"""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import SplitResult, urlencode, urlsplit

from trikk.client.refusals import error_of
from trikk.core.errors import ServerError, UsageError
from trikk.core.package import __version__
from trikk.web.refused import JSON_TYPE

_AGAIN = (429, 502, 503, 504)  # statuses after which another try may go well
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0  # seconds between tries; a server's Retry-After counts up to the longest
_AT_LENGTH = 150.0  # seconds to wait for an answer that takes its time
BROKEN = (OSError, http.client.HTTPException)
"""What a connection that breaks raises."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that was read to its end."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes


class Transport:
    """The way to one server; threads may share it, and then wait for each other.

    Args:
        url: of the server, with the path below which it is, if a proxy put it there.
        token: that is shown; None for none.
        ca_file: PEM file with the authorities that count instead of the system's.
        timeout: seconds to wait for a connection, and for each part of an answer.
        tries: how often a request is sent that may be repeated.

    Raises:
        UsageError: for a URL, a token or a file that can't be used.
    """

    def __init__(self, url: str, token: str | None, *, ca_file: Path | None, timeout: float, tries: int) -> None:
        self.url, self._server = url, _server_of(url)
        self._prefix = self._server.path.rstrip("/")
        self._timeout, self._tries = timeout, tries
        self._headers = {"user-agent": f"trikk/{__version__}", "accept": f"{JSON_TYPE}, */*"}
        if token is not None:
            if not token.isascii() or not token.isprintable() or " " in token or not token:
                raise UsageError("the token can't be one", next="give it as `trikk token create` printed it")
            self._headers["authorization"] = f"Bearer {token}"
        self._context = _trusting(ca_file) if self._server.scheme == "https" else None
        self._lock = threading.Lock()
        self._kept: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """Close the connection that is kept; the next request opens another."""
        with self._lock:
            self._drop()

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes | BinaryIO | None = None,
        fields: Mapping[str, str] | None = None,
        *,
        repeats: bool,
        at_length: bool = False,
    ) -> Reply:
        """Send a request, and read its answer.

        Args:
            method: GET or POST.
            path: quoted.
            query: what follows the question mark.
            body: JSON; or a file, with its type and length among the fields.
            fields: header fields beside the usual ones.
            repeats: whether it may be sent again when there is no answer, or one that says to wait.
            at_length: whether the answer may take minutes to begin.

        Raises:
            ServerError: if the server can't be reached, or breaks off.
            TrikkError: that the server's problem document tells of.
        """
        target = self._target(path, query)
        headers = {**self._headers, **({"content-type": JSON_TYPE} if body is not None else {}), **(fields or {})}
        for number in range(self._tries if repeats else 1):
            pause = min(_FIRST_PAUSE * 2**number, _LONGEST_PAUSE)
            is_last = not repeats or number == self._tries - 1
            try:
                reply = self._once(method, target, body, headers, keeps=repeats, at_length=at_length)
            except BROKEN as error:
                if is_last or isinstance(error, ssl.SSLCertVerificationError):
                    raise self.unreachable(error) from error
            else:
                if reply.status not in _AGAIN or is_last:
                    return _good(reply)
                pause = max(pause, _asked_pause(reply))
            time.sleep(pause)
        raise AssertionError("the last try returns or raises")

    @contextmanager
    def stream(
        self, path: str, fields: Mapping[str, str], *, silence: float
    ) -> Iterator[http.client.HTTPResponse]:
        """The answer to a GET, over a connection of its own, to be read as it comes.

        Args:
            path: quoted.
            fields: header fields beside the usual ones.
            silence: seconds without a byte after which the connection counts as broken.

        Raises:
            OSError, HTTPException: if the connection breaks, as in `BROKEN`.
            TrikkError: that the server's problem document tells of.
        """
        connection = self._connection(silence)
        try:
            connection.request("GET", self._target(path, None), headers={**self._headers, **fields})
            answer = connection.getresponse()
            if answer.status >= 400:
                reply = _read(answer)
                if reply.status in _AGAIN:
                    raise http.client.HTTPException(f"the server answered {reply.status}")
                _good(reply)
            yield answer
        finally:
            connection.close()

    def unreachable(self, error: Exception) -> ServerError:
        """The error for a connection that breaks, or never comes to be."""
        at = f"{self._server.scheme}://{self._server.netloc}"
        if isinstance(error, ssl.SSLCertVerificationError):
            mend = "name the file of the authority that has signed it (ca_file, TRIKK_CA_FILE)"
            return ServerError(
                f"the server's certificate does not count: {error.verify_message}", where=at, next=mend
            )
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        mend = "look whether it runs (trikk serve), and whether the URL is right"
        return ServerError(f"the server can't be reached: {reason}", where=at, next=mend)

    def _target(self, path: str, query: Mapping[str, str] | None) -> str:
        return self._prefix + path + (f"?{urlencode(query)}" if query else "")

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        host = self._server.hostname or ""
        if self._context is not None:
            return http.client.HTTPSConnection(host, self._server.port, timeout=timeout, context=self._context)
        return http.client.HTTPConnection(host, self._server.port, timeout=timeout)

    def _once(
        self,
        method: str,
        target: str,
        body: bytes | BinaryIO | None,
        headers: Mapping[str, str],
        *,
        keeps: bool,
        at_length: bool,
    ) -> Reply:
        with self._lock:
            if self._kept is None or not keeps or at_length:
                self._drop()
                self._kept = self._connection(max(self._timeout, _AT_LENGTH if at_length else 0.0))
            try:
                self._kept.request(method, target, body, dict(headers))
                return _read(self._kept.getresponse())
            except BaseException:  # also Ctrl-C: the rest of an answer would be taken for the next one
                self._drop()
                raise

    def _drop(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None


def _server_of(url: str) -> SplitResult:
    mend = "write it as http://127.0.0.1:8750 or https://server:8750"
    try:
        server = urlsplit(url)
        port_is_right = server.port is None or server.port > 0
    except ValueError as error:
        raise UsageError(f"{url[:200]!r} is no URL of a server: {error}", next=mend) from None
    if server.username is not None or server.password is not None:
        raise UsageError("a server's URL takes no name and password", next="give a token: TRIKK_TOKEN")
    usual = server.scheme in ("http", "https") and server.hostname and port_is_right
    if not usual or server.query or server.fragment or not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError(f"{url[:200]!r} is no URL of a server", next=mend)
    return server


def _trusting(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError, too
        raise UsageError(
            f"no certificates can be read from {ca_file}: {error.strerror or error}", next="name a PEM file"
        ) from None


def _read(answer: http.client.HTTPResponse) -> Reply:
    headers = {name.lower(): value for name, value in answer.getheaders()}
    return Reply(answer.status, headers, answer.read())


def _good(reply: Reply) -> Reply:
    if reply.status >= 300:  # a server of ours redirects nowhere
        raise error_of(reply.status, reply.body, reply.headers)
    return reply


def _asked_pause(reply: Reply) -> float:
    seconds = reply.headers.get("retry-after", "")
    return min(float(seconds), _LONGEST_PAUSE) if seconds.isdecimal() and len(seconds) < 9 else 0.0
