"""A server that others reach, over TLS and behind a proxy: what hostile callers send costs the others nothing."""

from __future__ import annotations

import contextlib
import resource
import shutil
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.certificates import Authority
from tests.execution.command import Folder, until
from tests.server.served import RunningServer, ServedProject

RUNS = "/api/v1/runs"


class Wall:
    """The server, as hostile callers see it."""

    def __init__(self, server: RunningServer, authority: Authority, token: str, cert: Path, key: Path) -> None:
        self.server = server
        self.port = int(server.url.rpartition(":")[2])
        self.context = ssl.create_default_context(cafile=authority.ca)
        self.token, self.cert, self.key = token, cert, key

    def ask(self, path: str = RUNS, token: str | None = None, **headers: str) -> httpx.Response:
        shown = self.token if token is None else token
        given = {"authorization": f"Bearer {shown}", **{n.replace("_", "-"): v for n, v in headers.items()}}
        return httpx.get(f"https://localhost:{self.port}{path}", headers=given, verify=self.context, timeout=60)

    @contextlib.contextmanager
    def link(self) -> Iterator[ssl.SSLSocket]:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        with plain, self.context.wrap_socket(plain, server_hostname="localhost") as private:
            yield private

    def memory(self) -> int:
        """Bytes that the server's process has."""
        status = Path(f"/proc/{self.server.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024


@pytest.fixture(scope="module")
def wall(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wall]:
    place = ServedProject(tmp_path_factory.mktemp("wall") / "project")
    cert, key = place.root / "cert.pem", place.root / "key.pem"
    issued = authority.issue("wall", ["localhost", "trikk.example"])
    shutil.copy(issued.cert, cert)
    shutil.copy(issued.key, key)
    token = Folder(place.root).trikk("token", "create", "reader", "--role", "viewer").out.strip()
    options = ("--trust-proxy=127.0.0.1", "--tls-cert=cert.pem", "--tls-key=key.pem", "--no-triggers")
    with place.server(*options) as server:
        yield Wall(server, authority, token, cert, key)


def read_all(link: ssl.SSLSocket) -> bytes:
    answer = b""
    with contextlib.suppress(OSError):
        while part := link.recv(65536):
            answer += part
    return answer


def test_a_proxy_tells_who_asks_and_by_which_name(wall: Wall) -> None:
    # A proxy was named: whoever comes through it comes from elsewhere, and needs a token on this machine, too.
    assert wall.ask(token="nothing").status_code == 401
    assert wall.ask().status_code == 200
    assert wall.ask(x_forwarded_host="trikk.example").status_code == 200  # a name of the certificate's
    assert wall.ask(x_forwarded_host="evil.example").status_code == 421
    assert wall.ask(origin="https://evil.example").status_code == 403
    # Wrong tokens are counted by who sent them, not by the proxy.
    for _ in range(12):
        last = wall.ask(token="nothing", x_forwarded_for="6.6.6.6")
    assert last.status_code == 429
    assert wall.ask(token="nothing", x_forwarded_for="7.7.7.7").status_code == 401


def test_a_thousand_slow_connections_leave_room_for_others(wall: Wall) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    before = wall.memory()
    with contextlib.ExitStack() as opened:
        opened.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        links = [opened.enter_context(socket.create_connection(("127.0.0.1", wall.port))) for _ in range(900)]
        for number, link in enumerate(links):
            link.sendall(b"\x16\x03\x01"[: number % 4])  # silent, or a handshake that does not go on
        for _ in range(100):
            private = opened.enter_context(wall.link())
            private.sendall(b"GET /api/v1/runs HTTP/1.1\r\nHost: local")
        began = time.monotonic()
        assert wall.ask().status_code == 200
        assert time.monotonic() - began < 20
        assert wall.memory() - before < 100_000_000
        links[-1].settimeout(60)
        assert links[-1].recv(1) == b""  # ended after ten seconds
    assert wall.ask().status_code == 200


@pytest.mark.parametrize("with_token", [True, False])
def test_endless_heads_and_bodies_are_ended_early_and_held_by_nobody(wall: Wall, with_token: bool) -> None:
    before = wall.memory()
    shown = f"Authorization: Bearer {wall.token}\r\n".encode() if with_token else b""
    start = b"POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\n" + shown
    with wall.link() as link:
        with contextlib.suppress(OSError):
            link.sendall(start + b"X-Large: ")
            for _ in range(80):
                link.sendall(b"x" * 1_000_000)
        answer = read_all(link)
    assert not answer or b" 431 " in answer.split(b"\r\n")[0]  # a reset may overtake the answer
    with wall.link() as link:
        with contextlib.suppress(OSError):
            link.sendall(start + b"Content-Type: application/json\r\nContent-Length: 100000000\r\n\r\n")
            for _ in range(100):
                link.sendall(b"x" * 1_000_000)
        answer = read_all(link)
    expected = (b"403", b"413") if with_token else (b"401",)
    assert not answer or answer.split(b" ")[1] in expected
    assert wall.memory() - before < 100_000_000
    assert wall.ask().status_code == 200


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 3\r\nContent-Length: 40\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: +3\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n",
        b"X: a\r\n Transfer-Encoding: chunked\r\n\tfolded\r\nContent-Length: 1_0\r\n",
        b"Host: localhost\r\nHost: evil.example\r\nContent-Length: 0\r\n",
        b"X\x00Y: 1\r\nContent-Length: 0\r\n",
        b"X: a\nY: b\r\nContent-Length: +0\r\n",
    ],
)
def test_a_request_of_two_readings_is_none(wall: Wall, head: bytes) -> None:
    smuggled = f"GET {RUNS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {wall.token}\r\n\r\n".encode()
    host = b"" if head.startswith(b"Host") else b"Host: localhost\r\n"
    shown = f"Authorization: Bearer {wall.token}\r\n".encode()
    with wall.link() as link:
        link.sendall(b"POST /healthz HTTP/1.1\r\n" + host + shown + head + b"\r\n0\r\n\r\n" + smuggled)
        link.settimeout(5)
        answer = read_all(link)
    # Nothing, where what follows can't be read before the refusal is sent.
    assert not answer or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 405"))
    assert b"HTTP/1.1 200" not in answer  # nobody was given what stands behind it


@pytest.mark.parametrize(
    "shown",
    [
        b"Bearer",
        b"Bearer ",
        b"Bearer a b",
        b"bearer \xff\xfe",
        b"Token x",
        b"Bearer " + b"a" * 60_000,
        b"Bearer \t",
    ],
)
def test_what_is_no_token_is_refused(wall: Wall, shown: bytes) -> None:
    with wall.link() as link:
        link.sendall(b"GET /api/v1/runs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                     b"X-Forwarded-For: 9.9.9.9\r\nAuthorization: " + shown + b"\r\n\r\n")  # fmt: skip
        answer = read_all(link)
    assert answer.split(b" ")[1] == b"401"
    assert b"WWW-Authenticate: Bearer" in answer.title().replace(b"Www", b"WWW")


def test_a_renewed_certificate_counts_without_a_restart(wall: Wall, authority: Authority) -> None:
    def number() -> object:
        with wall.link() as link:
            assert link.version() in ("TLSv1.2", "TLSv1.3")
            return (link.getpeercert() or {})["serialNumber"]

    before = number()
    renewed = authority.issue("wall-renewed", ["localhost"])
    shutil.copy(renewed.cert, wall.cert)
    time.sleep(1.5)  # a look between the two finds a certificate and another one's key
    assert number() == before
    shutil.copy(renewed.key, wall.key)
    until(lambda: number() != before)
    assert wall.ask().status_code == 200
