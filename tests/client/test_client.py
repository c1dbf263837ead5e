"""`trikk.Client` against real servers: what it gets, what goes wrong on the way, and what it says then."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.certificates import Authority
from tests.execution.command import Folder
from tests.server.served import RunningServer, ServedProject

import trikk
from trikk.client import rest_client
from trikk.core.errors import ArtifactCorrupt, ParameterError, RunError, ServerError, UnknownName, UsageError
from trikk.web.refused import Refused


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> ServedProject:
    return ServedProject(tmp_path_factory.mktemp("asked") / "project")


@pytest.fixture
def client(server: RunningServer, token: str) -> Iterator[trikk.Client]:
    with trikk.Client(server.url, token) as connected:
        yield connected


class BadLine:
    """A way to a server on which answers get lost and connections break, as the test says."""

    def __init__(self, server: str) -> None:
        self._address = server.removeprefix("http://").split(":")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.loses = 0  # so many answers
        self.connections = 0
        self._open: list[socket.socket] = []
        self.threads: list[threading.Thread] = []
        self._run(self._listen)

    def cut(self) -> None:
        """Break all connections."""
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End, with all threads."""
        self._listener.shutdown(socket.SHUT_RDWR)  # which ends `accept`
        self._listener.close()
        self.cut()
        for thread in self.threads:
            thread.join(10)
        for end in self._open:
            end.close()

    def _run(self, work: Callable[..., None], *arguments: object) -> None:
        self.threads.append(threading.Thread(target=work, args=arguments, daemon=True))
        self.threads[-1].start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self.connections += 1
                far = socket.create_connection((self._address[0], int(self._address[1])))
                self._open += [near, far]
                for pair in ((near, far), (far, near)):
                    self._run(self._pass_on, *pair, pair[0] is far)

    def _pass_on(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if is_answer and self.loses:
                    self.loses -= 1
                    break
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def line(server: RunningServer) -> Iterator[BadLine]:
    bad = BadLine(server.url)
    yield bad
    bad.close()


def test_a_run_from_its_start_to_its_artifacts(
    client: trikk.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [client.run("add", {"n": n}, key=f"key-{n}")["id"] for n in (1, 2, 3)]
    assert client.run("add", {"n": 3}, key="key-3")["id"] == runs[2]
    kinds = [[event["kind"] for event in client.events(run)] for run in runs]
    assert all(of_run[0] == "run.created" and of_run[-1] == "run.succeeded" for of_run in kinds)
    last = [event["seq"] for event in client.events(runs[0])][-1]
    assert list(client.events(runs[0], after=last)) == []
    monkeypatch.setattr(rest_client, "_PAGE", 2)
    assert [row.id for row in client.runs("add", "succeeded")] == runs[::-1]
    (artifact,) = (a for a in client.artifacts(runs[0])["artifacts"] if a.step == "total")
    whole = client.download(artifact.artifact.digest, tmp_path / "whole").read_bytes()
    monkeypatch.setattr(rest_client, "_PART", 100)
    assert client.download(artifact.artifact.digest, tmp_path / "whole").read_bytes() == whole
    assert list(tmp_path.iterdir()) == [tmp_path / "whole"]
    assert sorted(row["n"] for row in client.table("totals").head) == [1, 2, 3]
    started = next(line for line in client.audit() if line.action == "start_run")
    assert started.who == "ada"


def test_a_refusal_is_the_error_of_the_command(
    client: trikk.Client, place: ServedProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnknownName) as unknown:
        client.run("ad")
    assert unknown.value.to_json() == Folder(place.root).trikk("run", "ad", "--json").error
    with pytest.raises(ParameterError) as wrong:
        client.run("add", {"n": "many"})
    assert (wrong.value.code, wrong.value.exit_code) == ("parameter", 2)
    run = client.run("add", {"n": 4})["id"]
    list(client.events(run))
    with pytest.raises(RunError, match="nothing to resume"):
        client.resume(run)
    with trikk.Client(client._transport.url) as stranger, pytest.raises(Refused) as nobody:
        stranger.pipelines()
    assert nobody.value.status == 401
    (artifact,) = (a.artifact.digest for a in client.artifacts(run)["artifacts"] if a.step == "total")
    monkeypatch.setattr(rest_client, "_name", lambda digest: artifact)
    with pytest.raises(ArtifactCorrupt):
        client.download("0" * 64, tmp_path / "other")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def by_bad_line(line: BadLine, token: str) -> Iterator[trikk.Client]:
    with trikk.Client(line.url, token) as connected:
        yield connected


def test_what_may_be_repeated_is_when_a_connection_breaks(
    line: BadLine, by_bad_line: trikk.Client, tmp_path: Path
) -> None:
    client = by_bad_line
    before = len(list(client.runs()))
    line.loses = 2
    run = client.run("waits", {"file": str(tmp_path / "go")})["id"]  # the server had it three times
    assert len(list(client.runs())) == before + 1
    line.cut()
    assert client.show(run)["id"] == run
    line.loses = 1
    with pytest.raises(ServerError):
        client.cancel("last")  # a POST without a key is sent once
    # A stream that breaks goes on behind the last event that came: each of them comes once.
    numbers = []
    for event in client.events(run):
        numbers.append(event["seq"])
        line.cut()
        (tmp_path / "go").touch()
    assert numbers == [event["seq"] for event in client.events(run)]
    # One connection for all requests as long as it is not broken.
    connections = line.connections
    assert [client.show(run)["state"] for _ in range(3)] == ["succeeded"] * 3
    assert line.connections <= connections + 1


def test_a_server_is_trusted_by_its_authority_alone(
    place: ServedProject, token: str, authority: Authority, stranger: Authority
) -> None:
    pair = authority.issue("asked", ["localhost"])
    with place.server("--require-token", "--tls-cert", str(pair.cert), "--tls-key", str(pair.key)) as secure:
        url = secure.url.replace("https://127.0.0.1", "https://localhost")
        with trikk.Client(url, token, ca_file=authority.ca) as client:
            assert client.health()["status"] == "ok"
        for trusted in (None, stranger.ca):
            with pytest.raises(ServerError, match="certificate does not count"):
                trikk.Client(url, token, ca_file=trusted).health()


@pytest.mark.parametrize(
    ("url", "token"),
    [
        ("127.0.0.1:8750", None),
        ("ftp://server", None),
        ("http://ada:secret@server", None),
        ("http://server:99999", None),
        ("http://server/?a=b", None),
        ("http://server\r\nx: y", None),
        ("http://server", "a\r\nb"),
        ("http://server", ""),
    ],
)
def test_what_can_be_no_server_is_refused_at_once(url: str, token: str | None) -> None:
    with pytest.raises(UsageError) as error:
        trikk.Client(url, token)
    assert error.value.next
    assert "secret" not in str(error.value)


def test_a_server_that_is_away_is_said_to_be() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ServerError, match="can't be reached") as error:
        trikk.Client(f"http://127.0.0.1:{port}", tries=2).pipelines()
    assert error.value.where == f"http://127.0.0.1:{port}"
