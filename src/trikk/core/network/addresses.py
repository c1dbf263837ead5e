"""Addresses as people write them: secrets stand in them by reference (`${NAME}`), and are shown nowhere.

One rule for trikk.toml and for what pipelines declare: a password, token or key in plain is refused; a variable's
value is percent-encoded where it becomes part of a URL, so that it may hold any character, and none of it turns
into a host's name. What is not a URL (a path, a bucket's prefix, a topic) takes it as it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from trikk.core.errors import UsageError
from trikk.core.network.masking import hide_values
from trikk.core.network.secret_places import KnownValues, missing

REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
BY_REFERENCE = "put it into the environment, and write ${NAME} in its place"
_KEY = re.compile(
    r"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])|(?i:X-Amz-(?:Signature|Security-Token|Credential))"
)
_BEARER = re.compile(r"\bbearer(?:\s|\+|%20)+[A-Za-z0-9._~+/=-]", re.IGNORECASE)
_SECRET_NAME = re.compile(
    r"pass(?!file)|pwd|secret|token|credential|signature|(?:api|access|private|account|auth)[_-]?key|authorization|cookie|^sig$|^auth$",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9_+=-]{20,}")
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_HOST_VALUE = re.compile(r"[A-Za-z0-9._:,\[\]-]+")
_SERVERS = ("postgresql", "postgres", "redshift", "redis", "rediss", "smtp", "smtps", "http", "https")
_BROKERS = ("kafka", "kafkas", "mqtt", "mqtts")
_PLAIN = ("s3", "s3a", "file", "stream")
"""Schemes whose rest is not a URL: nobody decodes it."""

_WEB = ("json", "jsons", "xml", "xmls", "form", "forms", "http", "https")
_MAIL = ("mailto", "mailtos")
_TOPICS = ("ntfy", "ntfys")
_WORD = re.compile(r"(?=.{1,30}\Z)(?:[a-z]{1,15}|v?\d{1,4})(?:[-_.](?:[a-z]{1,15}|v?\d{1,4}))*")
"""A name such as `ml`, `ml-alerts` or `team-2`: no service's tokens look like it."""

_NAMED_HOST = re.compile(
    r"(?:localhost|[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}|\d+(?:\.\d+){3}|\[[0-9a-f:]+\])?(?::\d+)?"
)
_TARGET = re.compile(r"[#@+!].*|.*@.+\..+|[+-]?\d{1,15}|[a-z]{2}(?:-[a-z]+)+-\d|")


@dataclass(frozen=True, slots=True)
class Filled:
    """An address with its variables filled in: only `written` may be shown, logged or stored.

    Attributes:
        text: the whole address.
        written: the address as it was written.
        values: the variables' values by name.
    """

    text: str = field(repr=False)
    written: str
    values: Mapping[str, str] = field(repr=False)

    @property
    def scheme(self) -> str:
        """What stands before ://, or nothing."""
        scheme, sign, _ = self.text.partition("://")
        return scheme if sign else ""

    @property
    def port(self) -> int | None:
        """The port in the address, None if it names none; raises UsageError if it is not a number."""
        try:
            return urlsplit(self.text).port
        except ValueError:
            raise UsageError("the port in the address is not a number", where=self.written) from None

    def advice(self, mend: str) -> str:
        """What to do where a login fails, with what may be wrong with the values."""
        return "; ".join(filter(None, (mend, encoded_names(self.written, self.values))))

    def hide(self, text: str) -> str:
        """`text` with every value in it, and the password that one of them brought along, replaced by ***.

        A driver may repeat either as it stands in the address, encoded, or decoded.
        """
        return hide_values(text, [*self.values.values(), _password(self.text)])


def fill(
    written: str,
    environment: Mapping[str, str] | None = None,
    *,
    where: str | None = None,
    plain: tuple[str, ...] = (),
    empty: bool = False,
) -> Filled:
    """Put values in the place of `${NAME}`, encoded where they become part of a URL.

    They come from the environment, or from the places of `trikk.core.network.secret_places`.

    Args:
        written: the address. One that is a single reference is the variable's value, as it is.
        environment: the variables; those of the process, and its secrets, if not given.
        where: what an error names as the place; the address as it is written if not given.
        plain: schemes whose rest is taken as it is, beside those that are known.
        empty: whether a variable may be empty.

    Raises:
        UsageError: if a variable is not set, or can't stand where it does. No value is repeated.
    """
    known = KnownValues() if environment is None else environment
    place, names = where or written, REFERENCE.findall(written)
    values: dict[str, str] = {}
    for name in names:
        value = known.get(name)
        if value is None or not (value or empty):
            raise missing(name, place)
        values[name] = value
    if REFERENCE.fullmatch(written):
        _check_whole(values[names[0]], names[0], place)
        return Filled(values[names[0]], written, values)
    text, end = "", 0
    for match in REFERENCE.finditer(written):
        value = _encoded(written, match, values[match[1]], plain, place)
        text, end = text + written[end : match.start()] + value, match.end()
    return Filled(text + written[end:], written, values)


def _encoded(written: str, match: re.Match[str], value: str, plain: tuple[str, ...], place: str) -> str:
    """A value as it stands in the address."""
    scheme, sign, rest = written.partition("://")
    scheme = scheme.lower()
    if match.start() < len(scheme) + len(sign) or not sign or scheme in (*_PLAIN, *plain):
        return value
    at = match.start() - len(scheme) - len(sign)
    authority = _authority(rest)
    if at < authority.rfind("@"):
        return quote(value, safe="")
    if at < len(authority):
        if scheme in (*_SERVERS, *_BROKERS, *_MAIL) and not _HOST_VALUE.fullmatch(value):
            raise UsageError(
                f"the environment variable {match[1]} stands for a host, and holds more than its name",
                where=place,
                next="give user, password and the rest variables of their own, or the whole address one",
            )
        return quote(value, safe=":,[]")
    if "?" in rest[:at]:
        return quote(value, safe="")
    if scheme in _BROKERS:
        if set(value) & set("?#"):
            raise UsageError(f"the environment variable {match[1]} holds what no topic may", where=place)
        return value
    return quote(value, safe="/" if scheme in ("sqlite", "duckdb") else "")


def _check_whole(value: str, name: str, place: str) -> None:
    """Refuse an address in a variable whose password is not encoded: a driver would take part of it for a host."""
    scheme, sign, rest = value.partition("://")
    if not sign or scheme not in (*_SERVERS, *_BROKERS):
        return
    authority = _authority(rest)
    cut = ":" in authority and "@" not in authority and "@" in rest.partition("?")[0]
    if authority.count("@") > 1 or cut or re.search(r"%(?![0-9A-Fa-f]{2})|\s", authority):
        raise UsageError(
            f"the password in the address that the environment variable {name} holds is not encoded",
            where=place,
            next="write its @ / ? # : % as %40 %2F %3F %23 %3A %25, or give the password a variable of its own",
        )


def web_address(written: object, name: str) -> str:
    """The address of something on the web, as somebody wrote it; it is not repeated, for it may be a secret.

    Raises:
        UsageError: if it can't be one.
    """
    if not isinstance(written, str) or not written.startswith(("http://", "https://", "${")):
        raise UsageError(f"{name} is no address", next=f'write {name} = "https://..."')
    return written


def encoded_names(written: str, environment: Mapping[str, str] | None = None) -> str:
    """A hint for a failing login: which variables look as if somebody had encoded them; "" if none does."""
    known = os.environ if environment is None else environment
    names = [] if REFERENCE.fullmatch(written) else REFERENCE.findall(written)
    encoded = [name for name in names if _ENCODED.search(known.get(name, ""))]
    described = (
        "write the password itself into it: trikk encodes variables, and one that is encoded is not the password"
    )
    return f"does {' or '.join(encoded)} hold %40 or the like? {described}" if encoded else ""


def refuse_secrets(text: str, what: str, *, where: str | None = None, channel: bool = False) -> None:
    """Refuse a text that holds a password, token or key in plain; it is not repeated.

    Args:
        text: an address, or any text.
        what: what it is called in the error.
        where: the place for the error.
        channel: whether it is the address of a messaging service, all of which may be a token.

    Raises:
        UsageError: naming the way out.
    """
    if holds_secret(text):
        raise UsageError(f"{what} holds a password or a key", where=where, next=BY_REFERENCE)
    if channel and _may_hold_token(text):
        mend = (
            "put each part into the environment, and write ${NAME} in its place; write a channel's name in small "
            "letters, or # before it"
        )
        raise UsageError(f"{what} holds what may be a token", where=where, next=mend)


def holds_secret(text: str) -> bool:
    """Whether a password, token or key stands in an address in plain."""
    if _KEY.search(text) or _BEARER.search(REFERENCE.sub("", text)):
        return True
    scheme, sign, rest = text.partition("://")
    if not sign or REFERENCE.fullmatch(text):
        return False
    authority = _authority(rest)
    user, at, host = authority.rpartition("@")
    name, _, password = user.partition(":")
    if _is_plain(password) or (_is_plain(name) and not password and _TOKEN.fullmatch(name)):
        return True
    port = REFERENCE.sub("", host.rpartition("]")[2].partition(":")[2])
    if not at and re.search(r"[^\d:,]", port) and scheme not in _BROKERS and "@" in rest:
        return True  # a password with / ? or # in it
    options = parse_qsl(rest.partition("?")[2].partition("#")[0], keep_blank_values=True)
    return any(
        _is_plain(value) and (_SECRET_NAME.search(key) or _TOKEN.fullmatch(value)) for key, value in options
    )


def _may_hold_token(text: str) -> bool:
    """Whether the address of a messaging service holds more in plain than a host, targets and words.

    Words are names where the service's host is named or a variable holds the token, and as topics of ntfy.
    """
    scheme, sign, rest = text.partition("://")
    if not sign or scheme == "file" or scheme in _MAIL or REFERENCE.fullmatch(text):
        return False
    head, *path = rest.partition("?")[0].split("/")
    user, _, host = head.rpartition("@")
    bare = REFERENCE.sub("", host)
    referred = REFERENCE.search(text) is not None
    named = bool(_NAMED_HOST.fullmatch(host)) or (host != bare and re.fullmatch(r"[a-z0-9.:-]*", bare) is not None)
    words = scheme in _WEB or referred or named
    if any(not _is_name(part, words=words, targets=scheme not in _WEB) for part in path):
        return True
    if scheme in _WEB:
        return False
    if not named and not _is_name(bare, words=referred or scheme in _TOPICS, targets=True):
        return True
    return ":" not in user and _NAMED_HOST.fullmatch(host) is not None and not _is_name(user, words=referred)


def _is_name(part: str, *, words: bool, targets: bool = False) -> bool:
    """Whether what is plain in a part is a word, or a target such as `#room`; so is nothing."""
    bare = REFERENCE.sub("", part)
    return not bare or bool(words and _WORD.fullmatch(bare)) or bool(targets and _TARGET.fullmatch(part))


def texts_in(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every text in nested dicts and lists, with the dotted name of its place."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from texts_in(one, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from texts_in(one, name)


def _is_plain(text: str) -> bool:
    """Whether there is something that is not a reference."""
    return bool(REFERENCE.sub("", text))


def _password(address: str) -> str:
    """What stands between the first colon and the last @ of a server's address; "" for none.

    Where the authority has no @ the password may hold / ? or #, which cut it off: then the last @ of all counts.
    """
    scheme, sign, rest = address.partition("://")
    if not sign or scheme not in (*_SERVERS, *_BROKERS):
        return ""
    authority = _authority(rest)
    user = (authority if "@" in authority else rest).rpartition("@")[0]
    return user.partition(":")[2]


def _authority(rest: str) -> str:
    return re.split(r"[/?#]", rest, maxsplit=1)[0]
