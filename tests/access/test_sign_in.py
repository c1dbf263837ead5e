"""People sign in to a server through a real provider of identities, which may be away; and what does not count."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey
from tests.execution.command import until
from tests.server.served import RunningServer, ServedProject
from tests.servers.identity_provider import SECRET, IdentityProvider, identity_provider

from trikk.access.identity import Role
from trikk.access.identity_provider import IdentityProvider as Client
from trikk.access.session_cookie import SESSION, Attempt, cookie_name
from trikk.access.sign_in_settings import sign_in_settings
from trikk.access.tokens import SUBJECT, revoke
from trikk.core.errors import ProjectError
from trikk.core.settings import Settings
from trikk.testing.manual_clock import ManualClock
from trikk.web.refused import Refused

SETTINGS = """name = "served"
[access.oidc]
issuer = "{issuer}"
client_id = "trikk"
client_secret = "${{OIDC_SECRET}}"
roles = {{"ml" = "developer", "everybody" = "viewer", "shift" = "operator"}}
"""


@pytest.fixture(scope="module")
def port() -> int:
    """Of the server, which the provider has to know."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[IdentityProvider]:
    log = tmp_path_factory.mktemp("provider") / "log"
    with identity_provider([f"http://127.0.0.1:{port}/api/v1/signed-in"], log) as running:
        yield running


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, provider: IdentityProvider) -> ServedProject:
    return ServedProject(tmp_path_factory.mktemp("served") / "p", settings=SETTINGS.format(issuer=provider.issuer))


@pytest.fixture(scope="module")
def server(served: ServedProject, port: int) -> Iterator[RunningServer]:
    with served.server(f"--port={port}", "--require-token", OIDC_SECRET=SECRET) as running:
        yield running


class Browser:
    """A browser on this machine: it keeps cookies, sends them to its server only, and says from where it asks."""

    def __init__(self, server: RunningServer) -> None:
        self.url = server.url
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, **headers: str) -> httpx.Response:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = httpx.request(method, f"{self.url}{path}", headers={"cookie": cookies, **headers}, timeout=60)
        for line in answer.headers.get_list("set-cookie"):
            pair, *flags = line.split("; ")
            assert {"secure", "httponly", "samesite=lax", "path=/"} <= {flag.lower() for flag in flags}
            name, _, value = pair.partition("=")
            self.cookies.pop(name, None)
            if "Max-Age=0" not in flags:
                self.cookies[name] = value
        return answer

    def post(self, path: str) -> httpx.Response:
        return self.ask("POST", path, origin=self.url)

    def sign_in(self, provider: IdentityProvider, name: str, query: str = "") -> httpx.Response:
        begun = self.ask("GET", f"/api/v1/sign-in{query}")
        assert begun.status_code == 303, begun.text
        back = urlsplit(provider.sign_in(begun.headers["location"], name))
        return self.ask("GET", f"{back.path}?{back.query}")


def test_a_person_signs_in_acts_under_their_name_and_signs_out(
    server: RunningServer, served: ServedProject, provider: IdentityProvider
) -> None:
    anna, again = Browser(server), Browser(server)
    assert anna.ask("GET", "/api/v1/me").status_code == 401
    done = anna.sign_in(provider, "anna", "?return_to=/api/v1/runs%3Flimit=1")
    assert (done.status_code, done.headers["location"]) == (303, "/api/v1/runs?limit=1")
    assert again.sign_in(provider, "anna").headers["location"] == "/api/v1/me"
    me = anna.ask("GET", "/api/v1/me").json()
    assert (me["name"], me["kind"], me["role"], me["environment"]) == (
        "anna@example.com",
        "person",
        "developer",
        "main",
    )
    # A page of another site can't act in her name: it sends no cookie, and a form of it another Origin.
    assert anna.ask("POST", "/api/v1/runs").status_code == 403
    assert anna.ask("POST", "/api/v1/runs", origin="https://evil.example").status_code == 403
    assert anna.post("/api/v1/triggers/none/pause").status_code == 404
    assert anna.ask("GET", "/api/v1/audit").status_code == 403
    # What is in the cookie counts only there, and the ledger has none of it.
    name = cookie_name(SESSION, anna.url)
    shown = anna.cookies[name]
    as_token = httpx.get(f"{server.url}/api/v1/me", headers={"authorization": f"Bearer {shown}"})
    assert as_token.status_code == 401
    kept = repr(served.project.journal.entries(SUBJECT))
    assert "anna@example.com" in kept
    assert shown.rpartition("_")[2] not in kept
    assert anna.post("/api/v1/sign-out").json() == {"name": "anna@example.com"}
    assert name not in anna.cookies
    anna.cookies[name] = shown  # whoever has kept it
    until(lambda: anna.ask("GET", "/api/v1/me").status_code == 401)
    assert again.ask("GET", "/api/v1/me").status_code == 200  # it is a session of its own
    revoke(served.project.journal, "anna@example.com", by="ops", now=time.time())
    until(lambda: again.ask("GET", "/api/v1/me").status_code == 401)
    lines = [e.body for e in served.project.journal.entries("audit") if e.body["who"] == "anna@example.com"]
    assert {"sign_in", "pause_trigger", "sign_out"} <= {line["action"] for line in lines}
    assert {line["kind"] for line in lines} == {"person"}


def test_who_may_do_nothing_or_has_begun_nothing_gets_no_session(
    server: RunningServer, provider: IdentityProvider
) -> None:
    browser, other = Browser(server), Browser(server)
    refused = browser.sign_in(provider, "guest")
    assert refused.status_code == 403
    assert "guest@example.com is in no group" in refused.text
    begun = browser.ask("GET", "/api/v1/sign-in").headers["location"]
    asked = parse_qs(urlsplit(begun).query)
    assert asked["code_challenge_method"] == ["S256"]
    back = urlsplit(provider.sign_in(begun, "anna"))
    # Somebody else's browser that is led there (which would sign it in as anna), and a code that is used twice.
    assert other.ask("GET", f"{back.path}?{back.query}").status_code == 401
    kept = dict(browser.cookies)
    assert browser.ask("GET", f"{back.path}?{back.query}").status_code == 303
    browser.cookies = kept
    assert browser.ask("GET", f"{back.path}?{back.query}").status_code == 401
    assert browser.ask("GET", f"{back.path}?error=access_denied&state={asked['state'][0]}").status_code == 401
    for path in ("//evil.example", "/%5Cevil.example", "https://evil.example"):
        assert browser.ask("GET", f"/api/v1/sign-in?return_to={path}").status_code == 422


def test_while_the_provider_is_away_who_has_signed_in_goes_on(
    served: ServedProject, server: RunningServer, provider: IdentityProvider
) -> None:
    olav, late = Browser(server), Browser(server)
    assert olav.sign_in(provider, "olav").status_code == 303
    begun = late.ask("GET", "/api/v1/sign-in").headers["location"]
    back = urlsplit(provider.sign_in(begun, "anna"))
    provider.stop()
    try:
        assert olav.ask("GET", "/api/v1/me").json()["role"] == "operator"
        away = late.ask("GET", f"{back.path}?{back.query}")
        assert away.status_code == 503
        assert "can't be asked" in away.text
        assert SECRET not in away.text + served.log()
    finally:
        provider.start()
    assert Browser(server).sign_in(provider, "anna").status_code == 303


class Answers(Client):
    """A client whose provider says what a test wants."""

    def __init__(self, settings: Settings, clock: ManualClock) -> None:
        super().__init__(sign_in_settings(settings), clock)  # type: ignore[arg-type]
        self.documents: dict[str, Any] = {}

    def _ask(self, address: str, headers: Any = None, form: Any = None) -> dict[str, Any]:
        document: dict[str, Any] = self.documents[address.rpartition("/")[2]]
        return document


def test_a_token_that_is_not_the_providers_for_us_and_of_now_does_not_count(tmp_path: Path) -> None:
    clock, issuer, attempt = ManualClock(), "https://login.example.com", Attempt("s", "n", "v")
    oidc = {"issuer": issuer, "client_id": "trikk", "default": "viewer"}
    client = Answers(Settings(tmp_path, "p", access={"oidc": oidc}), clock)
    key, other = RSAKey.generate_key(2048, {"kid": "a"}), RSAKey.generate_key(2048, {"kid": "a"})
    ends = {f"{name}_endpoint": f"{issuer}/{name}" for name in ("token", "authorization")}
    client.documents["openid-configuration"] = {"issuer": issuer, "jwks_uri": f"{issuer}/jwks", **ends}
    client.documents["jwks"] = KeySet([key]).as_dict(private=False)
    now = int(clock.now())
    good = {"iss": issuer, "aud": "trikk", "sub": "anna", "nonce": "n", "iat": now, "exp": now + 60, "groups": []}

    def claims(signed_by: Any = key, algorithm: str = "RS256", **changed: Any) -> dict[str, Any]:
        body = {name: value for name, value in {**good, **changed}.items() if value is not None}
        token = jwt.encode({"alg": algorithm, "kid": "a"}, body, signed_by, algorithms=[algorithm])
        client.documents["token"] = {"id_token": token}
        return client.claims("code", attempt, "https://here/api/v1/signed-in")

    assert claims()["sub"] == "anna"
    assert claims(aud=["trikk", "x"], azp="trikk")["sub"] == "anna"
    wrong: list[dict[str, Any]] = [
        {"iss": "https://evil.example.com"},
        {"aud": "other"},
        {"aud": ["trikk", "other"]},
        {"azp": "other"},
        {"nonce": "old"},
        {"nonce": None},
        {"exp": now - 121},
        {"exp": None},
        {"iat": now + 121},
        {"sub": None},
        {"sub": ""},
        {"signed_by": other},
        {"signed_by": OctKey.import_key("hunter2" * 8), "algorithm": "HS256"},
    ]
    for change in wrong:
        with pytest.raises(Refused) as refused:
            claims(**change)
        assert refused.value.status == 401, change
    unsigned = ".".join([*str(client.documents["token"]["id_token"]).split(".")[:2], ""])
    for token in (unsigned, "", "x", "a.b.c", "é"):
        client.documents["token"] = {"id_token": token}
        with pytest.raises(Refused, match="does not count"):
            client.claims("code", attempt, "https://here/api/v1/signed-in")


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"issuer": "http://login.example.com"}, "issuer is no address"),
        ({"client_secret": "hunter2"}, "client_secret stands in plain"),
        ({"roles": {"ml": "king"}}, "roles.ml is no role"),
        ({"rolls": {}}, "unknown setting"),
        ({"client_id": ""}, "client_id is empty"),
        ({"lasts": "1y"}, "lasts"),
        ({"scopes": "email"}, "scopes"),
    ],
)
def test_a_wrong_section_is_refused(tmp_path: Path, changed: dict[str, Any], problem: str) -> None:
    oidc = {"issuer": "https://login.example.com", "client_id": "trikk", **changed}
    with pytest.raises(ProjectError, match=problem) as refused:
        sign_in_settings(Settings(tmp_path, "p", access={"oidc": oidc}))
    assert "hunter2" not in str(refused.value)


def test_the_highest_role_of_a_persons_groups_counts(tmp_path: Path) -> None:
    roles = {"a": "viewer", "b": "admin", "c": "operator"}
    oidc = {"issuer": "https://login.example.com", "client_id": "trikk", "roles": roles}
    settings = sign_in_settings(Settings(tmp_path, "p", access={"oidc": oidc}))
    assert settings is not None
    assert settings.role_of(["a", "b", "c"]) is Role.ADMIN
    assert settings.role_of("c") is Role.OPERATOR
    for nothing in ([], ["x"], None, {"b": 1}, [["b"]], 3):
        assert settings.role_of(nothing) is None
