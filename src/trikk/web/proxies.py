"""Requests that come through proxies: who asked them, and under which name. Believed of named proxies alone.

Anybody can write X-Forwarded-For, -Host and -Proto into a request. They count if it comes from an address that was
named as a proxy's; otherwise they are as good as not there.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from trikk.core.errors import UsageError
from trikk.web.request_body import Scope

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_SHOWN, _MOST_HOPS = 60, 20


class Proxies:
    """The proxies of one server.

    Args:
        trusted: addresses, or networks such as "10.0.0.0/8".

    Raises:
        UsageError: if one can't be read.
    """

    def __init__(self, trusted: Iterable[str]) -> None:
        self._networks = []
        for text in trusted:
            try:
                self._networks.append(ipaddress.ip_network(text, strict=False))
            except ValueError:
                problem = f"--trust-proxy {text[:_SHOWN]!r} is not an address or a network"
                raise UsageError(problem, next="write 10.0.0.7, or 10.0.0.0/8") from None

    def resolve(self, scope: Scope) -> Scope:
        """The request as its sender made it (`client`, `scheme`, Host); as it is if no proxy sent it."""
        client = scope.get("client")
        peer = _address(str(client[0])) if self._networks and client else None
        if peer is None or not self._is_trusted(peer):
            return scope
        said: dict[bytes, list[str]] = {b"x-forwarded-for": [], b"x-forwarded-host": [], b"x-forwarded-proto": []}
        for name, value in scope["headers"]:
            if name in said:
                said[name] += [part.strip() for part in value.decode("latin-1").split(",")]
        resolved = {**scope, "client": (str(self._sender(peer, said[b"x-forwarded-for"])), 0)}
        if schemes := said[b"x-forwarded-proto"]:
            resolved["scheme"] = "https" if schemes[-1].lower() == "https" else "http"
        if hosts := said[b"x-forwarded-host"]:
            others = [(name, value) for name, value in scope["headers"] if name != b"host"]
            resolved["headers"] = [(b"host", hosts[-1].encode("latin-1")), *others]
        return resolved

    def _sender(self, peer: Address, hops: list[str]) -> Address:
        """From right to left, each proxy has added whom it was asked by: the first that is none of ours asked."""
        sender = peer
        for hop in reversed(hops[-_MOST_HOPS:]):
            address = _address(hop)
            if address is None:
                break
            sender = address
            if not self._is_trusted(address):
                break
        return sender

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def _address(text: str) -> Address | None:
    """An address as proxies write it, with a port or without; None if it is none."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if parsed.version == 6 else None
    return mapped or parsed
