"""Mail addresses as a definition or trikk.toml may have them: nothing that could become another header. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from trikk.core.errors import UsageError
from trikk.core.names import check_name

ALL = "*"
"""Who gets the report on everything."""
# No comma, no bracket, no line break: nothing that could add a recipient or another header.
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
# No quotes and no commas in the name, which would begin another address.
_SENDER = re.compile(r"(?:(?P<name>[^<>\"@,;:\\]{1,100}) )?<(?P<address>[^<>]+)>")


def check_address(text: object) -> str:
    """Return a plain address such as "team@city.example".

    Raises:
        UsageError: if it is anything else: a list, a name with it, line breaks, letters beyond ASCII.
    """
    if isinstance(text, str) and _ADDRESS.fullmatch(text) and ".." not in text:
        return text
    raise UsageError(
        f"{str(text)[:60]!r} is not a mail address",
        next="write each as name@host.example, with no name before it",
    )


def check_sender(text: object) -> tuple[str, str]:
    """The name ("" for none) and address of a sender, written as "Reports <reports@city.example>" or plainly.

    Raises:
        UsageError: if it is neither.
    """
    if isinstance(text, str) and text.isprintable() and (match := _SENDER.fullmatch(text)):
        return (match["name"] or "").strip(), check_address(match["address"])
    return "", check_address(text)


def check_recipients(given: Mapping[str, Any], argument: str = "recipients") -> dict[str, tuple[str, ...]]:
    """Addresses by customer, "*" for those who get the report on everything.

    Raises:
        UsageError: if it is not a dict, or a customer's name or an address is none.
    """
    if not isinstance(given, Mapping):
        raise UsageError(f"{argument} is not a dict", next='write {"*": ["team@city.example"]}')
    by_customer = {}
    for customer, addresses in given.items():
        if customer != ALL:
            check_name("customer", customer)
        if isinstance(addresses, str) or not isinstance(addresses, Sequence):
            raise UsageError(f"{argument} of {customer} is not a list", next='write ["team@city.example"]')
        by_customer[customer] = tuple(dict.fromkeys(check_address(one) for one in addresses))
    return by_customer
