"""Who may ask an endpoint: the same tokens, certificates and limits as of a server."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.certificates import Authority
from tests.execution.command import Folder, until
from tests.serving.endpoints import Endpoint, Served

BODY = {"instances": [{"a": 1.0, "b": 2}]}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Served:
    place = Served(tmp_path_factory.mktemp("doors") / "project")
    place.promote(place.register(2.0))
    return place


@pytest.fixture(scope="module")
def tokens(place: Served) -> dict[str, str]:
    folder = Folder(place.root)
    return {
        name: folder.trikk("token", "create", name, "--role", "viewer", "--environment", where).out.strip()
        for name, where in (("caller", "main"), ("leaver", "main"), ("stranger", "elsewhere"))
    }


@pytest.fixture(scope="module")
def endpoint(place: Served, tokens: dict[str, str], authority: Authority) -> Iterator[Endpoint]:
    issued = authority.issue("endpoint", ["localhost"])
    options = ("--require-token", f"--tls-cert={issued.cert}", f"--tls-key={issued.key}", "--rate=5")
    with place.endpoint(*options) as running:
        running.client.close()
        running.client = httpx.Client(
            base_url=running.url.replace("127.0.0.1", "localhost"),
            verify=ssl.create_default_context(cafile=authority.ca),
            timeout=60,
        )
        yield running


def ask(endpoint: Endpoint, token: str = "", method: str = "POST", path: str = "/invocations") -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    body: Any = BODY if method == "POST" else None
    return endpoint.client.request(method, path, headers=headers, json=body)


def test_an_endpoint_takes_the_tokens_of_its_project(
    endpoint: Endpoint, tokens: dict[str, str], place: Served
) -> None:
    assert endpoint.url.startswith("https://")
    assert ask(endpoint, tokens["caller"]).json()["predictions"][0]["value"] == 4.0
    for token, status in (("", 401), ("nonsense", 401), (tokens["stranger"], 403)):
        refused = ask(endpoint, token)
        assert refused.status_code == status
        assert refused.json()["error"]["next"]
        assert ("www-authenticate" in refused.headers) == (status == 401)
    assert "is for environment elsewhere" in ask(endpoint, tokens["stranger"]).json()["error"]["what"]
    assert ask(endpoint, method="GET", path="/ping").status_code == 200
    assert ask(endpoint, method="GET", path="/metrics").status_code == 401
    assert ask(endpoint, tokens["caller"], "GET", "/metrics").status_code == 200
    assert ask(endpoint, tokens["leaver"]).status_code == 200
    assert Folder(place.root).trikk("token", "revoke", "leaver").code == 0
    until(lambda: ask(endpoint, tokens["leaver"]).status_code in (401, 429))
    audit = json.loads(Folder(place.root).trikk("audit", "--json").out)["lines"]
    assert {line["action"] for line in audit} == {"create_token", "revoke_token", "call_endpoint"}


def test_who_asks_too_often_waits_and_others_do_not(endpoint: Endpoint, tokens: dict[str, str]) -> None:
    answers = [ask(endpoint, tokens["caller"]) for _ in range(40)]
    late = [answer for answer in answers if answer.status_code == 429]
    assert late
    assert int(late[0].headers["retry-after"]) >= 1
    assert {answer.status_code for answer in answers} == {200, 429}
    assert ask(endpoint, method="GET", path="/ping").status_code == 200


def test_an_endpoint_that_others_reach_does_not_start_without_a_token(tmp_path: Path) -> None:
    place = Served(tmp_path / "project")
    place.promote(place.register(2.0))
    done = Folder(place.root).trikk("endpoint", "shape@champion", "--port=0", "--host=0.0.0.0")
    assert done.code == 2
    assert "trikk token create" in done.err
    with place.endpoint("--host=0.0.0.0", "--open-to-all") as running:
        assert running.ask({"a": 1.0, "b": 2}).status_code == 200
