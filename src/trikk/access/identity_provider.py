"""A provider of identities, asked by OpenID Connect: the code flow with PKCE (S256), state and nonce.

Its own description and keys are kept for a while. If it is away, only who signs in anew is told so. Nothing that
it says is believed without its signature, or from elsewhere than its own address over TLS.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import quote, urlencode, urlsplit

from trikk.access.session_cookie import Attempt
from trikk.access.sign_in_settings import SignInSettings
from trikk.core.clock import Clock
from trikk.core.errors import MissingExtra
from trikk.core.network.addresses import fill
from trikk.core.network.tls import client_context
from trikk.web.refused import Refused

_KEPT, _KEYS_AGAIN = 300.0, 10.0  # seconds: description and keys; until keys are fetched for one that is not known
_PATIENCE = 10.0  # seconds for an answer
_LARGEST = 1_000_000  # bytes of one
_LEEWAY = 120  # seconds by which its clock may differ
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
"""Those with a public key: with others, whoever knows the client's secret could sign."""


class IdentityProvider:
    """A provider, by its settings. May be used by any thread.

    Raises:
        MissingExtra: if a package is missing.
    """

    def __init__(self, settings: SignInSettings, clock: Clock) -> None:
        try:
            import joserfc  # noqa: F401
        except ImportError:
            raise MissingExtra("signing in by OpenID Connect", "oidc") from None
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._described: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, Any] | None = None
        self._opener = urllib.request.build_opener(
            _NoRedirects(), urllib.request.HTTPSHandler(context=client_context())
        )

    def address(self, attempt: Attempt, back_to: str) -> str:
        """Where a browser goes to sign in.

        Args:
            attempt: a new one.
            back_to: the address to which the provider sends it back.

        Raises:
            Refused: 503 if the provider is away.
        """
        digest = hashlib.sha256(attempt.verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": back_to,
            "scope": " ".join(self._settings.scopes),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        endpoint = self._endpoint("authorization_endpoint")
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"

    def claims(self, code: str, attempt: Attempt, back_to: str) -> dict[str, Any]:
        """What the provider says of who has signed in, for the code that it has given their browser.

        Raises:
            Refused: 401 if the code or what is signed does not count, 503 if the provider is away.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": back_to,
            "code_verifier": attempt.verifier,
            "client_id": self._settings.client_id,
        }
        headers = {"content-type": "application/x-www-form-urlencoded"}
        if self._settings.client_secret:
            secret = fill(self._settings.client_secret, where="access.oidc.client_secret").text
            pair = f"{quote(self._settings.client_id, safe='')}:{quote(secret, safe='')}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
            del form["client_id"]
        answer = self._ask(self._endpoint("token_endpoint"), headers, urlencode(form).encode())
        claims = self._verified(str(answer.get("id_token", "")), attempt.nonce)
        if self._settings.groups not in claims and self._description().get("userinfo_endpoint"):
            bearer = {"authorization": f"Bearer {answer.get('access_token', '')}"}
            more = self._ask(self._endpoint("userinfo_endpoint"), bearer)
            if more.get("sub") != claims["sub"]:
                _distrust("it speaks of somebody else")
            claims = {**more, **claims}
        return claims

    def _verified(self, token: str, nonce: str) -> dict[str, Any]:
        """The claims of an ID token, if it is the provider's, for us, and of now."""
        from joserfc import jwt
        from joserfc.errors import JoseError

        try:
            decoded = self._decoded(token)
            registry = jwt.JWTClaimsRegistry(
                now=lambda: int(self._clock.now()),
                leeway=_LEEWAY,
                iss={"essential": True, "value": self._settings.issuer},
                aud={"essential": True, "value": self._settings.client_id},
                nonce={"essential": True, "value": nonce},
                exp={"essential": True},
                iat={"essential": True},
                sub={"essential": True},
            )
            registry.validate(decoded.claims)
        except (JoseError, ValueError) as error:
            _distrust(type(error).__name__)
        claims: dict[str, Any] = decoded.claims
        ours = self._settings.client_id
        is_for_several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        party = claims.get("azp", None if is_for_several else ours)
        if party != ours or not (isinstance(claims["sub"], str) and claims["sub"]):
            _distrust("it is for somebody else")
        return claims

    def _decoded(self, token: str) -> Any:
        from joserfc import jwt
        from joserfc.errors import JoseError

        try:
            return jwt.decode(token, self._key_set(_KEPT), algorithms=_ALGORITHMS)
        except (JoseError, ValueError):
            # The provider may have new keys.
            return jwt.decode(token, self._key_set(_KEYS_AGAIN), algorithms=_ALGORITHMS)

    def _key_set(self, oldest: float) -> Any:
        from joserfc.jwk import KeySet

        with self._lock:
            known = self._keys
        if known is None or self._clock.monotonic() > known[0] + oldest:
            document: Any = self._ask(self._endpoint("jwks_uri"))
            # What a key is for, and kinds that we do not know, are told apart first: one of them would spoil all.
            keys = [key for key in document.get("keys", []) if key.get("kty") in ("RSA", "EC", "OKP")]
            signing: Any = {"keys": [key for key in keys if key.get("use", "sig") == "sig"]}
            known = (self._clock.monotonic(), KeySet.import_key_set(signing))
            with self._lock:
                self._keys = known
        return known[1]

    def _endpoint(self, name: str) -> str:
        address = self._description().get(name)
        scheme = urlsplit(self._settings.issuer).scheme
        if not isinstance(address, str) or urlsplit(address).scheme not in ("https", scheme):
            raise _away(f"its description has no {name}")
        return address

    def _description(self) -> dict[str, Any]:
        with self._lock:
            known = self._described
        if known is None or self._clock.monotonic() > known[0] + _KEPT:
            document = self._ask(f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration")
            if document.get("issuer") != self._settings.issuer:
                raise _away("it calls itself by another name than access.oidc.issuer")
            known = (self._clock.monotonic(), document)
            with self._lock:
                self._described = known
        return known[1]

    def _ask(
        self, address: str, headers: Mapping[str, str] | None = None, form: bytes | None = None
    ) -> dict[str, Any]:
        """The JSON object that the provider answers.

        Raises:
            Refused: 401 if it refuses a code, 503 if it gives no answer that can be used.
        """
        request = urllib.request.Request(address, form, {"accept": "application/json", **(headers or {})})  # noqa: S310
        try:
            with self._opener.open(request, timeout=_PATIENCE) as answer:
                document = json.loads(answer.read(_LARGEST))
        except urllib.error.HTTPError as error:
            with error:
                code = _error_code(error.read(_LARGEST))
            if form is not None and code in ("invalid_grant", "access_denied"):
                _distrust(code)
            raise _away(f"it answers {error.code} {code}".strip()) from None
        except (OSError, ValueError) as error:  # what http.client raises of a broken answer is one of these, or:
            raise _away(type(getattr(error, "reason", error)).__name__) from None
        except Exception as error:  # noqa: BLE001 - http.client.HTTPException and its like: it said something strange
            raise _away(type(error).__name__) from None
        if not isinstance(document, dict):
            raise _away("it answers something else than JSON")
        return document


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A provider's endpoints are where it says: nothing that is sent there goes elsewhere."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _error_code(data: bytes) -> str:
    """What a provider calls an error (RFC 6749, 5.2); "" if it is none of these."""
    try:
        code = json.loads(data)["error"]
    except (ValueError, KeyError, TypeError):
        return ""
    return code if isinstance(code, str) and code.isascii() and code.isidentifier() else ""


def _distrust(why: str) -> NoReturn:
    raise Refused(401, f"what the provider of identities says does not count: {why}", next="sign in again")


def _away(why: str) -> Refused:
    mend = "try again in a while; who has signed in goes on, and so do tokens"
    return Refused(503, f"the provider of identities can't be asked: {why}", next=mend)
