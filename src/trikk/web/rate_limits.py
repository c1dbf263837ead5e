"""How often somebody may do something: so many times a second, and so many at once. Pure, in bounded memory."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict

from trikk.web.refused import Refused

_MOST = 10_000  # callers that are remembered; whoever was away longest is forgotten


class RateLimit:
    """A limit for each of many callers.

    For each it keeps one number: when all that it was let do would have been done at the average rate. Nothing
    has to be filled up again, and nothing runs.

    Args:
        rate: times a second, on average.
        at_once: times that may come together.
        most: callers that are remembered.
    """

    def __init__(self, rate: float, at_once: float, most: int = _MOST) -> None:
        self._pause = 1.0 / rate
        self._ahead = self._pause * max(at_once - 1.0, 0.0)
        self._most = most
        self._until: OrderedDict[str, float] = OrderedDict()

    def wait(self, caller: str, now: float) -> float:
        """Count one; 0.0 if it may be done, else the seconds after which it may, and it is not counted.

        Args:
            caller: who.
            now: seconds of a clock that never goes backwards.
        """
        until = max(now, self._until.pop(caller, now))
        late = until - self._ahead - now
        self._until[caller] = until if late > 0 else until + self._pause
        if len(self._until) > self._most:
            self._until.popitem(last=False)
        return max(late, 0.0)


def too_often(what: str, wait: float) -> Refused:
    """The refusal of somebody who has to wait for so many seconds."""
    seconds = max(1, math.ceil(wait))
    return Refused(429, what, next=f"wait {seconds} s", headers={"retry-after": str(seconds)})


def network_of(address: str) -> str:
    """What counts as one caller of those without a name: an address, of IPv6 the network that a customer has."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 6:
        mapped = parsed.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
