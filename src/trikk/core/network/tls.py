"""TLS towards servers: whom it trusts, and what it means when it fails. The same for brokers, mail and web hooks.

A server is trusted if its certificate is signed by an authority in the file that its address names, else in the
file that the environment variable SSL_CERT_FILE names, else by one of the system's. There is no way to trust
every server.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import ssl
from pathlib import Path
from typing import NamedTuple

from trikk.core.errors import UsageError
from trikk.core.text import printable, shorten

VARIABLE = "SSL_CERT_FILE"
"""OpenSSL's: a file of authorities that takes the place of the system's."""
_AUTHORITY = f"name a file with the authority's certificate: ca=FILE in the address, or {VARIABLE}=FILE"
_REASON = re.compile(r"certificate verify failed: (.{1,200}?)(?: \(_ssl|$)")
_UNKNOWN = ("unable to get", "self-signed", "self signed", "unable to verify the first")
_CLIENT = (
    "certificate required",
    "alert certificate",
    "alert bad certificate",
    "alert unknown ca",
    "client ssl authentication might be required",
)
_NO_TLS = ("wrong version number", "wrong_version_number", "record layer failure", "packet length too long")
_CLIENT_FILES = "cert= and key= name PEM files with the client's certificate and its key"
_FAILED = ("certificate verify failed", "certificate_verify_failed")


class Trouble(NamedTuple):
    """Why a server is not spoken to.

    Attributes:
        what: what is wrong with it, "its ..." or "it ...".
        next: what to do.
        lasting: whether waiting does not mend it.
    """

    what: str
    next: str
    lasting: bool = True


def trusted(ca: str | Path = "") -> str:
    """The file of authorities to trust: `ca`, else the one in SSL_CERT_FILE, else "" for the system's.

    Raises:
        UsageError: if there is no such file, or no certificate in it.
    """
    file = str(ca) or os.environ.get(VARIABLE, "")
    if file:
        _loaded(file, "the option ca=" if ca else f"the environment variable {VARIABLE}")
    return file


def client_context(ca: str | Path = "", cert: str | Path = "", key: str | Path = "") -> ssl.SSLContext:
    """What a client connects with; it checks the server's certificate and name.

    Args:
        ca: a PEM file of authorities; see `trusted`.
        cert: a PEM file with the client's certificate, "" for none.
        key: a PEM file with its key; "" if that is in `cert`.

    Raises:
        UsageError: if a file is missing, holds something else, or the key is locked or another certificate's.
    """
    file = trusted(ca)
    context = _loaded(file, "") if file else ssl.create_default_context()
    if cert:
        load_identity(context, str(cert), str(key), _CLIENT_FILES)
    return context


def explain(problem: object, mend: str = _AUTHORITY) -> Trouble | None:
    """What a failure of TLS means.

    Args:
        problem: an error of Python's ssl, or the text of any program that uses OpenSSL.
        mend: what to do about an authority that is not trusted.

    Returns:
        None if it is about something else than TLS.
    """
    text = str(problem)
    low = text.lower()
    if any(sign in low for sign in ("certificate is not valid for", "hostname mismatch")):
        complaint = "its certificate is not for the name by which it is called"
        return Trouble(complaint, "call it by a name in its certificate")
    if any(sign in low for sign in _FAILED):
        return _unverified(text, low, mend)
    if any(sign in low for sign in _CLIENT):
        complaint = "it wants a client's certificate from an authority that it trusts"
        return Trouble(complaint, "give one with cert=FILE and key=FILE, where an address takes them")
    if any(sign in low for sign in _NO_TLS):
        complaint = "it does not speak TLS on this port"
        return Trouble(complaint, "check the port, and whether TLS begins at once on it")
    if isinstance(problem, ssl.SSLError) or "ssl routines" in low or "[ssl" in low:
        complaint = f"it breaks TLS off: {_short(text)}"
        return Trouble(complaint, "check the port, and what the server logs", lasting=False)
    return None


def look(host: str, port: int, context: ssl.SSLContext, seconds: float = 5.0) -> Trouble | None:
    """Shake hands with a server and tell, as `explain` does, why that fails; None if not, or without TLS."""
    try:
        with socket.create_connection((host, port), timeout=seconds) as plain:
            context.wrap_socket(plain, server_hostname=host).close()
    except (OSError, ValueError) as error:
        return explain(error)
    return None


def is_here(host: str) -> bool:
    """Whether a host is this machine: what goes there is on no wire."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load_identity(context: ssl.SSLContext, cert: str, key: str, mend: str) -> None:
    """Have a client or server identify itself.

    Args:
        context: its.
        cert: a PEM file with its certificate.
        key: a PEM file with its key; "" if that is in `cert`.
        mend: what to do if they can't be used.

    Raises:
        UsageError: if they can't.
    """
    prompts: list[bool] = []

    def no_passphrase() -> str:  # without one, OpenSSL would ask at the terminal
        prompts.append(True)
        return ""

    try:
        context.load_cert_chain(cert, key or None, no_passphrase)
    except OSError as error:
        if prompts:
            unlocked = "give a key without one, in a file that nobody else may read"
            raise UsageError(f"the key in {key or cert} is locked with a pass phrase", next=unlocked) from None
        raise _unusable(f"{cert} and {key}" if key else cert, error, mend) from error


def _unverified(text: str, low: str, mend: str) -> Trouble:
    if "has expired" in low:
        return Trouble("its certificate has expired", "have it renewed")
    if any(sign in low for sign in _UNKNOWN):
        return Trouble("its certificate is from an authority that is not trusted here", mend)
    reason = _REASON.search(text)
    why = f": {_short(reason[1])}" if reason else ""
    return Trouble(f"its certificate can't be trusted{why}", f"check it; {mend}")


def _short(text: str) -> str:
    return shorten(printable(text), 200)


def _loaded(file: str, name: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=file)
    except OSError as error:  # the ssl module's errors are among them
        raise _unusable(file, error, f"{name} names a PEM file with the certificate of an authority") from error


def _unusable(files: str, error: OSError, mend: str) -> UsageError:
    if not isinstance(error, ssl.SSLError):
        why = str(error.strerror)
    elif error.reason == "KEY_VALUES_MISMATCH":
        why = "the key is another certificate's"
    else:
        why = "what it wants is not in it"
    return UsageError(f"{files} can't be used for TLS: {why}", next=mend)
