"""Whose word on the sender of a request counts: that of named proxies, and nobody else's."""

from __future__ import annotations

from typing import Any

import pytest

from trikk.core.errors import UsageError
from trikk.web.proxies import Proxies


def resolved(peer: str, *headers: tuple[str, str], trusted: tuple[str, ...] = ("10.0.0.0/8", "::1")) -> Any:
    given = [(b"host", b"proxy:1"), *((name.encode(), value.encode()) for name, value in headers)]
    scope = Proxies(trusted).resolve({"client": (peer, 5), "scheme": "http", "headers": given})
    return scope["client"][0], scope["scheme"], [value for name, value in scope["headers"] if name == b"host"]


FROM = "x-forwarded-for"
SAID = ((FROM, "1.2.3.4"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "trikk.example"))


def test_named_proxies_are_believed_and_nobody_else() -> None:
    assert resolved("10.1.1.1", *SAID) == ("1.2.3.4", "https", [b"trikk.example"])
    assert resolved("::1", *SAID)[0] == resolved("::ffff:10.9.9.9", *SAID)[0] == "1.2.3.4"
    for stranger in ("11.0.0.1", "::2", "", "nonsense"):
        assert resolved(stranger, *SAID) == (stranger, "http", [b"proxy:1"])
    assert resolved("10.1.1.1", *SAID, trusted=()) == ("10.1.1.1", "http", [b"proxy:1"])


@pytest.mark.parametrize(
    ("lines", "sender"),
    [
        (["6.6.6.6, 1.2.3.4"], "1.2.3.4"),  # what the sender wrote itself, and what our proxy added
        (["6.6.6.6", "1.2.3.4, 10.2.2.2"], "1.2.3.4"),  # through two proxies, in two lines
        (["10.5.5.5"], "10.5.5.5"),  # a neighbour of the proxy's
        (["[2001:db8::7]:443"], "2001:db8::7"),
        (["1.2.3.4:5678"], "1.2.3.4"),
        (["1.2.3.4, nonsense"], "10.1.1.1"),  # nothing to the left of nonsense is credible
        ([""], "10.1.1.1"),
        (["1.2.3.4" + ", 10.0.0.1" * 5_000], "10.0.0.1"),
    ],
)
def test_the_sender_is_the_last_that_no_proxy_of_ours_is(lines: list[str], sender: str) -> None:
    assert resolved("10.1.1.1", *((FROM, line) for line in lines))[0] == sender


@pytest.mark.parametrize("text", ["proxy.example", "10.0.0.0/33", "", "10.0.0.1:80"])
def test_a_proxy_is_an_address(text: str) -> None:
    with pytest.raises(UsageError, match="--trust-proxy"):
        Proxies([text])
